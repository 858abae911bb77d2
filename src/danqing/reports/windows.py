"""Windows of reports: the requests of one API key, or of all keys of an account, within a bounded time."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from danqing.accounts.queries import find_key
from danqing.errors import NotFound

MAX_WINDOW = timedelta(days=92)


@dataclass(frozen=True, kw_only=True)
class KeyWindow:
    """The requests of one key that were made at `start` or later, and before `end`.

    `api_key_id` None: of all keys that the account `account_id` has or had.
    """

    account_id: str
    api_key_id: str | None
    start: datetime
    end: datetime


def require_key(conn: Connection, prefix: str, *, account_id: str) -> None:
    """Raise NotFound unless the account has or had this key: a revoked key's requests can still be reported."""
    row = find_key(conn, prefix)
    if row is None or row.account_id != account_id:
        raise NotFound(f"There is no API key {prefix!r}.")
