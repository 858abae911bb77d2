"""The SQL of jobs, their idempotency keys and their webhooks. The rules are in the modules that call it."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, or_, select, update

from danqing.accounts.tables import api_keys
from danqing.jobs.job import Job, JobImage, JobStatus, Origin
from danqing.jobs.tables import idempotency_keys, jobs, webhook_deliveries
from danqing.pictures.request import ImageRequest

Values = Mapping[str, Any]

UNFINISHED = tuple(status for status in JobStatus if not status.finished)
# Columns of a job that its own record does not show.
_LEASE_COLUMNS = {"lease_owner", "lease_expires_at", "model"}


def insert_job(conn: Connection, job: Job, *, lease_owner: str | None, lease_expires_at: datetime | None) -> None:
    """Write a new job; one that is over from the start has no lease."""
    values = asdict(job)
    del values["replayed"]
    values |= {"images": [], "model": job.request.model, "warnings": list(job.warnings)}
    values |= {"safety": dict(job.safety), "timings": dict(job.timings)}
    conn.execute(insert(jobs).values(**values, lease_owner=lease_owner, lease_expires_at=lease_expires_at))


def find_job(conn: Connection, job_id: str) -> Job | None:
    """Read a job."""
    row = conn.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
    return None if row is None else job_from_row(row)


def lock_job(conn: Connection, job_id: str) -> Job | None:
    """Read a job and let no other transaction change it until this one ends."""
    row = conn.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).one_or_none()
    return None if row is None else job_from_row(row)


def count_running(conn: Connection, api_key_id: str) -> int:
    """Count the unfinished jobs of a key whose callers wait for them."""
    running = and_(jobs.c.api_key_id == api_key_id, jobs.c.lease_expires_at.is_not(None), ~jobs.c.respond_async)
    return conn.execute(select(func.count()).select_from(jobs).where(running)).scalar_one()


def move_job(
    conn: Connection, job_id: str, *, from_statuses: Collection[JobStatus], lease_owner: str | None, values: Values
) -> Job | None:
    """Change a job that has one of these statuses and, unless None, this owner; None when it has not."""
    condition = and_(jobs.c.id == job_id, jobs.c.status.in_(from_statuses))
    if lease_owner is not None:
        condition = and_(condition, jobs.c.lease_owner == lease_owner)
    row = conn.execute(update(jobs).where(condition).values(values).returning(*jobs.c)).one_or_none()
    return None if row is None else job_from_row(row)


def find_jobs_of_dead_keys(conn: Connection, job_ids: Collection[str]) -> list[str]:
    """Read which of the jobs are queued under a revoked or disabled key, and keep other transactions from moving them.

    In the order of accounts, like all that settles several jobs.
    """
    dead = or_(api_keys.c.disabled, api_keys.c.revoked_at.is_not(None))
    queued = and_(jobs.c.id.in_(job_ids), jobs.c.status == JobStatus.QUEUED)
    found = select(jobs.c.id).join(api_keys, api_keys.c.prefix == jobs.c.api_key_id).where(queued, dead)
    found = found.order_by(jobs.c.account_id, jobs.c.created_at).with_for_update(of=jobs)
    return list(conn.execute(found).scalars())


def renew_leases(
    conn: Connection, job_ids: Collection[str], *, lease_owner: str, lease_expires_at: datetime
) -> set[str]:
    """Put off the end of an owner's leases on these jobs; return the ids of those it still has."""
    own = and_(jobs.c.id.in_(job_ids), jobs.c.lease_owner == lease_owner, jobs.c.status.in_(UNFINISHED))
    renewed = conn.execute(update(jobs).where(own).values(lease_expires_at=lease_expires_at).returning(jobs.c.id))
    return set(renewed.scalars())


def lock_lost_jobs(conn: Connection, *, now: datetime, without: Collection[str], limit: int) -> list[Job]:
    """Read unfinished jobs whose lease ran out, oldest first, and keep other processes from doing the same."""
    lost = and_(jobs.c.lease_expires_at < now, jobs.c.status.in_(UNFINISHED), jobs.c.id.not_in(without))
    oldest = select(jobs).where(lost).order_by(jobs.c.created_at).limit(limit).with_for_update(skip_locked=True)
    return [job_from_row(row) for row in conn.execute(oldest)]


def insert_idempotency_key(conn: Connection, values: Values) -> None:
    """Remember which job a key stands for."""
    conn.execute(insert(idempotency_keys).values(values))


def find_idempotency_key(conn: Connection, *, api_key_id: str, path: str, idempotency_key: str) -> Row[Any] | None:
    """Read which job a key stands for."""
    return conn.execute(
        select(idempotency_keys).where(
            idempotency_keys.c.api_key_id == api_key_id,
            idempotency_keys.c.path == path,
            idempotency_keys.c.idempotency_key == idempotency_key,
        )
    ).one_or_none()


def delete_idempotency_keys(conn: Connection, *, created_before: datetime) -> None:
    """Forget old keys."""
    conn.execute(delete(idempotency_keys).where(idempotency_keys.c.created_at < created_before))


def delete_idempotency_key(conn: Connection, *, api_key_id: str, path: str, idempotency_key: str) -> None:
    """Free a key, if it stands for anything."""
    conn.execute(
        delete(idempotency_keys).where(
            idempotency_keys.c.api_key_id == api_key_id,
            idempotency_keys.c.path == path,
            idempotency_keys.c.idempotency_key == idempotency_key,
        )
    )


def insert_delivery(conn: Connection, values: Values) -> None:
    """Write a webhook to be sent."""
    conn.execute(insert(webhook_deliveries).values(values))


def lock_due_deliveries(
    conn: Connection,
    *,
    now: datetime,
    without_accounts: Collection[str],
    without_receivers: Collection[str],
    max_per_account: int,
    max_per_receiver: int,
    limit: int,
) -> list[Row[Any]]:
    """Read due webhooks with their account, and keep other processes from doing the same.

    The oldest of each receiver, and of these the oldest of each account: a backlog of one hides no other.
    """
    deliveries = webhook_deliveries
    due = deliveries.c.next_attempt_at <= now
    age = (deliveries.c.next_attempt_at, deliveries.c.id)
    # Deliveries from before the column was there count each by itself.
    receiver = func.coalesce(func.nullif(deliveries.c.receiver, ""), deliveries.c.id)
    receiver_rank = func.row_number().over(partition_by=receiver, order_by=age).label("receiver_rank")
    by_receiver = (
        select(deliveries.c.id, deliveries.c.next_attempt_at, jobs.c.account_id, receiver_rank)
        .join(jobs, jobs.c.id == deliveries.c.job_id)
        .where(due, deliveries.c.receiver.not_in(without_receivers), jobs.c.account_id.not_in(without_accounts))
        .subquery()
    )
    oldest = (by_receiver.c.next_attempt_at, by_receiver.c.id)
    account_rank = func.row_number().over(partition_by=by_receiver.c.account_id, order_by=oldest).label("account_rank")
    by_account = (
        select(by_receiver.c.id, by_receiver.c.account_id, account_rank)
        .where(by_receiver.c.receiver_rank <= max_per_receiver)
        .subquery()
    )
    chosen = (
        select(deliveries, by_account.c.account_id)
        .join(by_account, by_account.c.id == deliveries.c.id)
        .where(due, by_account.c.account_rank <= max_per_account)
        .order_by(by_account.c.account_rank, deliveries.c.next_attempt_at)
        .limit(limit)
    )
    return list(conn.execute(chosen.with_for_update(of=deliveries, skip_locked=True)))


def find_delivery(conn: Connection, job_id: str) -> Row[Any] | None:
    """Read the webhook of a job."""
    return conn.execute(select(webhook_deliveries).where(webhook_deliveries.c.job_id == job_id)).one_or_none()


def update_delivery(conn: Connection, delivery_id: str, values: Values) -> None:
    """Write how a webhook stands."""
    conn.execute(update(webhook_deliveries).where(webhook_deliveries.c.id == delivery_id).values(values))


def job_from_row(row: Row[Any]) -> Job:
    """Make a job of a row with all its columns."""
    values = {name: value for name, value in row._mapping.items() if name not in _LEASE_COLUMNS}
    values |= {
        "status": JobStatus(row.status),
        "origin": Origin(row.origin),
        "request": ImageRequest(**row.request),
        "images": tuple(JobImage(**image) for image in row.images),
        "warnings": tuple(row.warnings),
        "timings": row.timings or {},
    }
    return Job(**values)
