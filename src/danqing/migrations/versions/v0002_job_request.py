"""The request column of jobs, renamed after the record it stores."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Rename jobs.parameters to jobs.request."""
    op.alter_column("jobs", "parameters", new_column_name="request")
