"""Add to jobs how long their parts took: to expand, draw, check, store."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add jobs.timings; jobs from before have none."""
    op.add_column("jobs", sa.Column("timings", sa.JSON()))
