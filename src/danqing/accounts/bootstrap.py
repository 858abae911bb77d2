"""The first start: one account with credits and one key."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from danqing.accounts.accounts import AccountExists, create_account, list_accounts
from danqing.accounts.api_keys import CreatedKey, create_key
from danqing.accounts.credits import grant

DEFAULT_ACCOUNT_ID = "default"


@dataclass(frozen=True, kw_only=True)
class FirstStart:
    """What the first start made."""

    account_id: str
    key: CreatedKey


def bootstrap(conn: Connection, *, starting_credits: int, now: datetime) -> FirstStart | None:
    """Create the default account, its credits and a key; None when there is an account already."""
    if list_accounts(conn):
        return None
    try:
        create_account(conn, DEFAULT_ACCOUNT_ID, name="Default account", now=now)
    except AccountExists:
        return None  # Another server made its first start at the same moment.
    if starting_credits:
        grant(conn, account_id=DEFAULT_ACCOUNT_ID, grant_id="first-start", amount_credits=starting_credits, now=now)
    key = create_key(conn, account_id=DEFAULT_ACCOUNT_ID, name="first", now=now)
    return FirstStart(account_id=DEFAULT_ACCOUNT_ID, key=key)
