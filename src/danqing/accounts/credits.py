"""The ledger: integer credits, double entry, rows that never change. Knows prices and jobs only as numbers and ids.

A hold sets credits aside; it settles exactly once, by capture (of all or a part, the rest goes back) or by release.
Every function works inside the caller's transaction.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What an account can spend, what its running jobs hold, and when either last changed."""

    available_credits: int
    held_credits: int
    updated_at: datetime


def create_account(conn: Connection, account_id: str, *, name: str, now: datetime) -> None:
    """Open an account with nothing in it. Raises InvalidRequest when the id is taken."""
    raise NotImplementedError


def grant(conn: Connection, *, account_id: str, grant_id: str, amount_credits: int, now: datetime) -> None:
    """Add credits to an account; the same grant_id counts once. Raises NotFound or InvalidRequest."""
    raise NotImplementedError


def balance(conn: Connection, account_id: str) -> Balance:
    """Read the stored balance. Raises NotFound."""
    raise NotImplementedError


def check(conn: Connection) -> list[str]:
    """Recompute everything stored from the rows; one sentence per discrepancy, none when all is well."""
    raise NotImplementedError
