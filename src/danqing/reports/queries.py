"""The SQL of the reports. Reads only."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select

from danqing.accounts.tables import holds, settlements, transfers
from danqing.jobs.job import Job, JobStatus
from danqing.jobs.queries import UNFINISHED, job_from_row
from danqing.jobs.tables import jobs


def list_jobs(
    conn: Connection,
    *,
    account_id: str,
    created_from: datetime,
    statuses: Collection[JobStatus],
    limit: int,
    offset: int,
) -> list[Job]:
    """Read an account's jobs, newest first."""
    chosen = and_(jobs.c.account_id == account_id, jobs.c.created_at >= created_from, jobs.c.status.in_(statuses))
    page = select(jobs).where(chosen).order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(limit).offset(offset)
    return [job_from_row(row) for row in conn.execute(page)]


def count_jobs(conn: Connection, *, account_id: str, created_from: datetime, statuses: Collection[JobStatus]) -> int:
    """Count what `list_jobs` would list without a limit."""
    chosen = and_(jobs.c.account_id == account_id, jobs.c.created_at >= created_from, jobs.c.status.in_(statuses))
    return conn.execute(select(func.count()).select_from(jobs).where(chosen)).scalar_one()


def sum_jobs(conn: Connection, *, account_id: str, created_from: datetime) -> list[Row[Any]]:
    """Count jobs and sum their charges by model and status."""
    totals = select(
        jobs.c.model,
        jobs.c.status,
        func.count().label("num_requests"),
        func.sum(jobs.c.charged_credits).label("charged_credits"),
    )
    chosen = and_(jobs.c.account_id == account_id, jobs.c.created_at >= created_from)
    by_model = totals.where(chosen).group_by(jobs.c.model, jobs.c.status).order_by(jobs.c.model, jobs.c.status)
    return list(conn.execute(by_model))


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
