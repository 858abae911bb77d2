"""Index jobs by API key instead of account: reports show the requests of one key."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Replace the index."""
    op.create_index(op.f("ix_jobs_api_key_id_created_at_id"), "jobs", ["api_key_id", "created_at", "id"])
    op.drop_index(op.f("ix_jobs_account_id_created_at_id"), "jobs")
