"""The first start: one account with credits and one key. Knows nothing of where the key is then shown."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from danqing.accounts.api_keys import CreatedKey

DEFAULT_ACCOUNT_ID = "default"


@dataclass(frozen=True, kw_only=True)
class FirstStart:
    """What the first start made."""

    account_id: str
    key: CreatedKey


def bootstrap(conn: Connection, *, starting_credits: int, now: datetime) -> FirstStart | None:
    """Create the default account, its credits and a key; None when there is an account already."""
    raise NotImplementedError
