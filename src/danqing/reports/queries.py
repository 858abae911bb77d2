"""The SQL of the reports. Reads only."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    and_,
    case,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)

from danqing.accounts.tables import api_keys, holds, settlements, transfers
from danqing.database import UtcDateTime
from danqing.jobs.job import Job
from danqing.jobs.queries import UNFINISHED, job_from_row
from danqing.jobs.tables import jobs
from danqing.reports.days import DayPiece
from danqing.reports.outcomes import STATUSES, Outcome
from danqing.reports.windows import KeyWindow


def list_requests(
    conn: Connection,
    window: KeyWindow,
    *,
    outcomes: Collection[Outcome],
    models: Collection[str] | None,
    limit: int,
    offset: int,
) -> list[Job]:
    """Read the finished requests of a window, newest first."""
    chosen = _requests(window, outcomes=outcomes, models=models)
    page = select(jobs).where(chosen).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit).offset(offset)
    return [job_from_row(row) for row in conn.execute(page)]


def count_requests(
    conn: Connection, window: KeyWindow, *, outcomes: Collection[Outcome], models: Collection[str] | None
) -> int:
    """Count what `list_requests` would list without a limit."""
    chosen = _requests(window, outcomes=outcomes, models=models)
    return conn.execute(select(func.count()).select_from(jobs).where(chosen)).scalar_one()


def sum_requests(
    conn: Connection,
    window: KeyWindow,
    *,
    by_model: bool,
    by_key: bool = False,
    days: Sequence[DayPiece] | None = None,
) -> list[Row[Any]]:
    """Count the finished requests of a window and sum their charges and images, by day, by model, by key."""
    groups: list[ColumnElement[str]] = [jobs.c.model] if by_model else []
    if by_key:
        groups.append(jobs.c.api_key_id)
    chosen = _requests(window)
    source: FromClause = jobs
    if days is not None:
        pieces = _piece_table(days)
        groups.append(pieces.c.day)
        # The window's own bounds are left out: SQLite would seek those in its index, and scan the window for every day.
        chosen = _requests(window, start=pieces.c.start, end=pieces.c.end)
        source = pieces.join(jobs, true())
    sums = select(
        *groups,
        func.count().label("num_requests"),
        func.sum(case((jobs.c.charged_credits > 0, 1), else_=0)).label("num_charged"),
        func.sum(case((jobs.c.status.in_(STATUSES[Outcome.SUCCEEDED]), 1), else_=0)).label("num_succeeded"),
        func.sum(jobs.c.charged_credits).label("charged_credits"),
        func.sum(func.json_array_length(jobs.c.images)).label("num_images"),
    )
    return list(conn.execute(sums.select_from(source).where(chosen).group_by(*groups)))


def _requests(
    window: KeyWindow,
    *,
    start: ColumnElement[datetime] | None = None,
    end: ColumnElement[datetime] | None = None,
    outcomes: Collection[Outcome] = tuple(Outcome),
    models: Collection[str] | None = None,
) -> ColumnElement[bool]:
    """Return the condition for the finished requests of a window, or of the part from `start` to `end`."""
    conditions = [
        jobs.c.api_key_id.in_(_keys_of(window.account_id))
        if window.api_key_id is None
        else jobs.c.api_key_id == window.api_key_id,
        jobs.c.created_at >= (window.start if start is None else start),
        jobs.c.created_at < (window.end if end is None else end),
        jobs.c.status.in_([status for outcome in outcomes for status in STATUSES[outcome]]),
    ]
    if models is not None:
        conditions.append(jobs.c.model.in_(models))
    return and_(*conditions)


def _keys_of(account_id: str) -> Select[Any]:
    """Return the prefixes of an account's keys, revoked ones too. By key, requests have an index."""
    return select(api_keys.c.prefix).where(api_keys.c.account_id == account_id)


def find_request(conn: Connection, job_id: str, *, account_id: str) -> Job | None:
    """Read a request of an account, finished or not."""
    row = conn.execute(select(jobs).where(jobs.c.id == job_id, jobs.c.account_id == account_id)).one_or_none()
    return None if row is None else job_from_row(row)


def last_requests(conn: Connection, *, account_id: str) -> dict[str, datetime | None]:
    """Read when each key of an account was last used for a request; None for never."""
    # A subquery for each key is one step in the index; a grouped maximum would read all of it.
    last = select(func.max(jobs.c.created_at)).where(jobs.c.api_key_id == api_keys.c.prefix).scalar_subquery()
    rows = conn.execute(select(api_keys.c.prefix, last.label("last")).where(api_keys.c.account_id == account_id))
    return {row.prefix: row.last for row in rows}


def _piece_table(days: Sequence[DayPiece]) -> CTE:
    """Return the pieces as a table that both databases can join."""
    rows = [
        select(
            literal(piece.date.isoformat()).label("day"),
            literal(piece.start, UtcDateTime).label("start"),
            literal(piece.end, UtcDateTime).label("end"),
        )
        for piece in days
    ]
    return union_all(*rows).cte("pieces")


def list_transfers(
    conn: Connection,
    *,
    account_id: str,
    kinds: Collection[str],
    created_from: datetime | None,
    created_to: datetime | None,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[Row[Any]]:
    """Read transfers of some kinds, newest first, with the model of their job; `before` is the last row seen."""
    page = select(transfers, jobs.c.model).outerjoin(jobs, jobs.c.id == transfers.c.hold_id)
    page = page.where(transfers.c.account_id == account_id, transfers.c.kind.in_(kinds))
    if created_from is not None:
        page = page.where(transfers.c.created_at >= created_from)
    if created_to is not None:
        page = page.where(transfers.c.created_at < created_to)
    if before is not None:
        created_at, transfer_id = before
        page = page.where(
            or_(
                transfers.c.created_at < created_at,
                and_(transfers.c.created_at == created_at, transfers.c.id < transfer_id),
            )
        )
    return list(conn.execute(page.order_by(transfers.c.created_at.desc(), transfers.c.id.desc()).limit(limit)))


def credits_since(
    conn: Connection, *, account_id: str, signs: Mapping[str, int], oldest: datetime, ids: Collection[str]
) -> dict[str, int]:
    """Sum, for each of these transfers, what came in after it, and subtract what went out.

    `signs` are 1 or -1 by kind; other kinds do not count. `oldest` is when the first of the transfers was made.
    """
    signed = case(*((transfers.c.kind == kind, sign * transfers.c.amount_credits) for kind, sign in signs.items()))
    newest_first = (transfers.c.created_at.desc(), transfers.c.id.desc())
    running = select(transfers.c.id, (func.sum(signed).over(order_by=newest_first) - signed).label("since"))
    running = running.where(
        transfers.c.account_id == account_id, transfers.c.kind.in_(signs), transfers.c.created_at >= oldest
    )
    table = running.subquery()
    rows = conn.execute(select(table).where(table.c.id.in_(ids)))
    return {row.id: int(row.since) for row in rows}


def list_charged_keys(conn: Connection) -> list[Row[Any]]:
    """Read the jobs with an idempotency key that were charged, or may yet be, by key and oldest first."""
    charged = or_(jobs.c.charged_credits > 0, jobs.c.status.in_(UNFINISHED))
    keyed = select(jobs.c.id, jobs.c.api_key_id, jobs.c.idempotency_key, jobs.c.created_at)
    keyed = keyed.where(jobs.c.idempotency_key.is_not(None), charged)
    return list(conn.execute(keyed.order_by(jobs.c.api_key_id, jobs.c.idempotency_key, jobs.c.created_at, jobs.c.id)))


def compare_jobs_with_holds(conn: Connection) -> list[Row[Any]]:
    """Give every job, and every hold without one, with what the ledger says about it."""
    columns = (
        func.coalesce(jobs.c.id, holds.c.id).label("id"),
        jobs.c.status,
        jobs.c.price_credits,
        jobs.c.charged_credits,
        jobs.c.images,
        jobs.c.request,
        holds.c.amount_credits,
        settlements.c.captured_credits,
    )
    with_job = select(*columns).outerjoin(holds, holds.c.id == jobs.c.id)
    with_job = with_job.outerjoin(settlements, settlements.c.hold_id == holds.c.id)
    without = select(*columns).select_from(holds).outerjoin(jobs, jobs.c.id == holds.c.id)
    without = without.outerjoin(settlements, settlements.c.hold_id == holds.c.id).where(jobs.c.id.is_(None))
    return [*conn.execute(with_job), *conn.execute(without)]
