"""Give webhook deliveries the name of their receiver, so that senders can be fair between receivers."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column; deliveries from before share one name."""
    op.add_column("webhook_deliveries", sa.Column("receiver", sa.String(length=300), nullable=False, server_default=""))
