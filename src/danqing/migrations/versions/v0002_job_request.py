"""Rename the column of a job's request after the record that it stores."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Rename jobs.parameters to jobs.request."""
    op.alter_column("jobs", "parameters", new_column_name="request")
