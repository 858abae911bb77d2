"""The tables of accounts, keys and the ledger. Column names are the glossary; the migrations make the tables."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
)

from danqing.database import UtcDateTime, metadata

# The two balances are sums over `transfers`, kept so that a hold is one comparison; `credits.check` recomputes them.
accounts = Table(
    "accounts",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("webhook_secret", String(100), nullable=False),
    Column("available_credits", BigInteger, nullable=False),
    Column("held_credits", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    CheckConstraint("available_credits >= 0", name="available_credits"),
    CheckConstraint("held_credits >= 0", name="held_credits"),
)

# A revoked key keeps its row, because jobs and holds refer to it.
api_keys = Table(
    "api_keys",
    metadata,
    Column("prefix", String(8), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("limit_retention", String(16)),
    Column("limit_credits", BigInteger),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("revoked_at", UtcDateTime),
    Index(None, "account_id", "created_at"),
)

holds = Table(
    "holds",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("api_key_id", ForeignKey("api_keys.prefix"), nullable=False),
    Column("amount_credits", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("amount_credits >= 0", name="amount_credits"),
)

# One row moves credits from one book to another: both sides of the entry at once. A trigger keeps rows as they are.
# Books: grants (outside) -> available -> held -> revenue (outside), and held -> available for what is not used.
transfers = Table(
    "transfers",
    metadata,
    Column("id", String(100), primary_key=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("debit_book", String(16), nullable=False),
    Column("credit_book", String(16), nullable=False),
    Column("amount_credits", BigInteger, nullable=False),
    Column("hold_id", ForeignKey("holds.id")),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("amount_credits > 0", name="amount_credits"),
    Index(None, "account_id", "created_at", "id"),
    Index(None, "hold_id"),
)

# At most one row a hold, by its primary key: that is what makes a hold settle once.
settlements = Table(
    "settlements",
    metadata,
    Column("hold_id", ForeignKey("holds.id"), primary_key=True),
    Column("captured_credits", BigInteger, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("captured_credits >= 0", name="captured_credits"),
)

# What each key has held or captured, by the UTC day of the hold: a sum over `holds`, kept for the spend limits.
key_spending = Table(
    "key_spending",
    metadata,
    Column("api_key_id", ForeignKey("api_keys.prefix"), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("spent_credits", BigInteger, nullable=False),
    CheckConstraint("spent_credits >= 0", name="spent_credits"),
)

# How much of a limit per minute each key has used. `full_at`, in seconds since 1970: from when on the key has its whole
# limit again. Without a foreign key, whose check every request would pay for. PostgreSQL writes no log of this table.
key_rates = Table(
    "key_rates",
    metadata,
    Column("api_key_id", String(8), primary_key=True),
    Column("name", String(16), primary_key=True),
    Column("num_requests", Integer, nullable=False),
    Column("full_at", Double, nullable=False),
)
