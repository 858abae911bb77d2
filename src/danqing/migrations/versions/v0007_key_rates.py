"""Count rate limits in the database, once for all processes, and find the unfinished jobs of a key quickly."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the table and the index."""
    # Unlogged: its commits need not wait for the disk, and a crash of the database may empty it.
    unlogged = ["UNLOGGED"] if op.get_bind().dialect.name == "postgresql" else []
    op.create_table(
        "key_rates",
        sa.Column("api_key_id", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("num_requests", sa.Integer(), nullable=False),
        sa.Column("full_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("api_key_id", "name", name=op.f("pk_key_rates")),
        prefixes=unlogged,
    )
    unfinished = sa.text("lease_expires_at IS NOT NULL")
    op.create_index(
        op.f("ix_jobs_unfinished"), "jobs", ["api_key_id"], sqlite_where=unfinished, postgresql_where=unfinished
    )
