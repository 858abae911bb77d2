"""Usage: the requests of one API key or all, and their charges, summed by model, by key and by day."""

from dataclasses import dataclass
from datetime import datetime, tzinfo

from sqlalchemy import Connection, Row

from danqing.reports import queries
from danqing.reports.days import split_into_days
from danqing.reports.windows import KeyWindow


@dataclass(frozen=True, kw_only=True)
class UsageSum:
    """Finished requests of one group. `day` is a local date such as 2026-07-21; None where the group spans them.

    `num_requests` counts every outcome, `num_charged` those that cost something, `num_images` what they handed out.
    """

    day: str | None
    model: str | None
    api_key_id: str | None
    charged_credits: int
    num_requests: int
    num_charged: int
    num_succeeded: int
    num_images: int


def usage_by_model(conn: Connection, window: KeyWindow) -> list[UsageSum]:
    """Sum the requests of a window by model, highest charge first."""
    return _sorted(queries.sum_requests(conn, window, by_model=True))


def usage_by_key(conn: Connection, window: KeyWindow) -> list[UsageSum]:
    """Sum the requests of a window by API key, highest charge first."""
    return _sorted(queries.sum_requests(conn, window, by_model=False, by_key=True))


def last_uses(conn: Connection, *, account_id: str) -> dict[str, datetime | None]:
    """Return when each key of an account last made a request; None for never."""
    return queries.last_requests(conn, account_id=account_id)


def usage_by_day(
    conn: Connection, window: KeyWindow, *, zone: tzinfo, by_model: bool, by_key: bool = False
) -> list[UsageSum]:
    """Sum the requests of a window by the zone's days, in order, and within each by model or key where asked for.

    Days without a request are left out.
    """
    days = list(split_into_days(window.start, window.end, zone=zone))
    return _sorted(queries.sum_requests(conn, window, by_model=by_model, by_key=by_key, days=days)) if days else []


def _sorted(rows: list[Row[tuple[object, ...]]]) -> list[UsageSum]:
    sums = [_usage_sum(row) for row in rows]
    return sorted(
        sums, key=lambda group: (group.day or "", -group.charged_credits, group.model or "", group.api_key_id or "")
    )


def _usage_sum(row: Row[tuple[object, ...]]) -> UsageSum:
    values = row._mapping
    return UsageSum(
        day=values.get("day"),
        model=values.get("model"),
        api_key_id=values.get("api_key_id"),
        charged_credits=int(row.charged_credits),
        num_requests=row.num_requests,
        num_charged=int(row.num_charged),
        num_succeeded=int(row.num_succeeded),
        num_images=int(row.num_images),
    )
