"""Rename the column of jobs that asks for bytes beside the links: "delivery" is a word of webhooks alone."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Rename jobs.deliver_inline to jobs.inline_images."""
    op.alter_column("jobs", "deliver_inline", new_column_name="inline_images")
