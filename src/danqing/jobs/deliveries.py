"""Webhook deliveries as rows: scheduled when a job finishes, claimed by a sender, retried with backoff, given up.

Every function works inside the caller's transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from danqing.jobs import queries
from danqing.jobs.job import Job

# The pauses between attempts; the last attempt comes about 20 hours after the first.
RETRY_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (5, 60, 300, 1800, 7200, 21600, 43200))
MAX_WEBHOOK_ATTEMPTS = len(RETRY_DELAYS) + 1
# How long a sender that dies while it sends keeps a delivery from the others.
CLAIM_LIFETIME = timedelta(seconds=60)


class DeliveryStatus(StrEnum):
    """Where a webhook stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A webhook that a sender has claimed; `num_attempts` counts the attempt about to be made."""

    id: str
    job: Job
    num_attempts: int


def schedule(conn: Connection, job: Job, *, now: datetime) -> None:
    """Schedule the webhook of a job that has just finished."""
    queries.insert_delivery(
        conn,
        {
            "id": f"msg_{job.id}",
            "job_id": job.id,
            "status": DeliveryStatus.PENDING,
            "num_attempts": 0,
            "next_attempt_at": now,
            "created_at": now,
        },
    )


def claim(conn: Connection, *, now: datetime, limit: int) -> list[Delivery]:
    """Claim webhooks that are due; other senders leave them alone until the claim runs out."""
    claimed = []
    for row in queries.lock_due_deliveries(conn, now=now, limit=limit):
        num_attempts = row.num_attempts + 1
        if num_attempts > MAX_WEBHOOK_ATTEMPTS:
            # Its senders died each time; without this limit it would be claimed for ever.
            _write(conn, row.id, status=DeliveryStatus.FAILED, next_attempt_at=None)
            continue
        _write(conn, row.id, num_attempts=num_attempts, next_attempt_at=now + CLAIM_LIFETIME)
        job = queries.find_job(conn, row.job_id)
        assert job is not None, f"delivery {row.id} of no job"
        claimed.append(Delivery(id=row.id, job=job, num_attempts=num_attempts))
    return claimed


def succeed(conn: Connection, delivery: Delivery) -> None:
    """Note that the webhook arrived."""
    _write(conn, delivery.id, status=DeliveryStatus.DELIVERED, next_attempt_at=None, last_error=None)


def fail(conn: Connection, delivery: Delivery, *, error: str, final: bool, now: datetime) -> None:
    """Note why the webhook did not arrive, and when to retry, unless this was the last attempt."""
    if final or delivery.num_attempts >= MAX_WEBHOOK_ATTEMPTS:
        _write(conn, delivery.id, status=DeliveryStatus.FAILED, next_attempt_at=None, last_error=error)
    else:
        delay = RETRY_DELAYS[delivery.num_attempts - 1]
        _write(conn, delivery.id, next_attempt_at=now + delay, last_error=error)


def _write(conn: Connection, delivery_id: str, **values: Any) -> None:
    queries.update_delivery(conn, delivery_id, values)
