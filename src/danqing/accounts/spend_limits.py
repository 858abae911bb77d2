"""Spend limits: the most that a key may spend in a period."""

from datetime import date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection

from danqing.accounts import queries
from danqing.accounts.pricing import usd_from_credits
from danqing.errors import SpendLimitReached


class Retention(StrEnum):
    """When the spending counted against a limit starts again from zero, in UTC; weeks begin on Monday."""

    NO_RESET = "no_reset"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


def period_start(retention: Retention, *, now: datetime) -> date | None:
    """Give the first day of the present period; None when it never starts again."""
    today = now.date()
    match retention:
        case Retention.NO_RESET:
            return None
        case Retention.DAY:
            return today
        case Retention.WEEK:
            return today - timedelta(days=today.weekday())
        case Retention.MONTH:
            return today.replace(day=1)


def require_room(conn: Connection, *, api_key_id: str, amount_credits: int, now: datetime) -> None:
    """Raise SpendLimitReached when the amount does not fit into the key's limit; what is held counts as spent."""
    key = queries.lock_key(conn, api_key_id)
    assert key is not None, f"credits for the unknown key {api_key_id}"
    if key.limit_credits is None:
        return
    since = period_start(Retention(key.limit_retention), now=now)
    if queries.spending(conn, api_key_id=api_key_id, since=since) + amount_credits > key.limit_credits:
        limit_usd = usd_from_credits(key.limit_credits)
        raise SpendLimitReached(f"The spend limit of this API key is reached: {limit_usd} USD ({key.limit_retention}).")
