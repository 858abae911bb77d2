"""Webhook deliveries as rows: scheduled when a job finishes, claimed by a sender, retried with backoff, given up.

Every function works inside the caller's transaction.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from danqing.jobs import queries
from danqing.jobs.job import Job
from danqing.jobs.webhook_targets import parse_target

# The pauses between attempts; the last attempt comes about 20 hours after the first.
RETRY_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (5, 60, 300, 1800, 7200, 21600, 43200))
MAX_WEBHOOK_ATTEMPTS = len(RETRY_DELAYS) + 1
# How long a sender that dies while it sends keeps a delivery from the others.
CLAIM_LIFETIME = timedelta(seconds=60)
# One slow receiver delays only its own webhooks, and one account's slow receivers only its own.
MAX_CONCURRENT_SENDS = 128
MAX_SENDS_PER_ACCOUNT = 64
MAX_SENDS_PER_RECEIVER = 4


class DeliveryStatus(StrEnum):
    """Where a webhook stands; `waiting` until the job ends."""

    WAITING = "waiting"
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A webhook that a sender has claimed; `num_attempts` counts the attempt about to be made."""

    id: str
    job: Job
    receiver: str
    num_attempts: int


@dataclass(frozen=True, kw_only=True)
class WebhookState:
    """What became of a job's webhook: `next_attempt_at` is None once it is delivered or given up."""

    status: DeliveryStatus
    num_attempts: int = 0
    next_attempt_at: datetime | None = None
    last_error: str | None = None


class SendRoom:
    """How many more webhooks may be sent beside those under way: in all, of one account, to one receiver."""

    def __init__(self, under_way: Iterable[Delivery]) -> None:
        deliveries = list(under_way)
        self.num_free = MAX_CONCURRENT_SENDS - len(deliveries)
        self._by_account = Counter(delivery.job.account_id for delivery in deliveries)
        self._by_receiver = Counter(delivery.receiver for delivery in deliveries)

    @property
    def full_accounts(self) -> list[str]:
        """The accounts of which no more may be sent."""
        return [account for account, count in self._by_account.items() if count >= MAX_SENDS_PER_ACCOUNT]

    @property
    def full_receivers(self) -> list[str]:
        """The receivers to which no more may be sent."""
        return [receiver for receiver, count in self._by_receiver.items() if count >= MAX_SENDS_PER_RECEIVER]

    def take(self, *, account_id: str, receiver: str) -> bool:
        """Count one more, unless there is no room for it."""
        full = self._by_account[account_id] >= MAX_SENDS_PER_ACCOUNT
        if full or self._by_receiver[receiver] >= MAX_SENDS_PER_RECEIVER or self.num_free <= 0:
            return False
        self.num_free -= 1
        self._by_account[account_id] += 1
        self._by_receiver[receiver] += 1
        return True


def schedule(conn: Connection, job: Job, *, now: datetime) -> None:
    """Schedule the webhook of a job that has just finished."""
    assert job.webhook_url is not None, f"job {job.id} has no webhook"
    queries.insert_delivery(
        conn,
        {
            "id": f"msg_{job.id}",
            "job_id": job.id,
            "receiver": parse_target(job.webhook_url).receiver,
            "status": DeliveryStatus.PENDING,
            "num_attempts": 0,
            "next_attempt_at": now,
            "created_at": now,
        },
    )


def state(conn: Connection, job: Job) -> WebhookState | None:
    """Return what became of a job's webhook; None for a job without one."""
    if job.webhook_url is None:
        return None
    row = queries.find_delivery(conn, job.id)
    if row is None:
        return WebhookState(status=DeliveryStatus.WAITING)
    return WebhookState(
        status=DeliveryStatus(row.status),
        num_attempts=row.num_attempts,
        next_attempt_at=row.next_attempt_at,
        last_error=row.last_error,
    )


def claim(conn: Connection, *, now: datetime, room: SendRoom) -> list[Delivery]:
    """Claim due webhooks as far as there is room; other senders leave them alone until the claim runs out."""
    if room.num_free <= 0:
        return []
    claimed = []
    rows = queries.lock_due_deliveries(
        conn,
        now=now,
        without_accounts=room.full_accounts,
        without_receivers=room.full_receivers,
        max_per_account=MAX_SENDS_PER_ACCOUNT,
        max_per_receiver=MAX_SENDS_PER_RECEIVER,
        limit=room.num_free,
    )
    for row in rows:
        num_attempts = row.num_attempts + 1
        if num_attempts > MAX_WEBHOOK_ATTEMPTS:
            # Its senders died each time; without this limit it would be claimed for ever.
            _write(conn, row.id, status=DeliveryStatus.FAILED, next_attempt_at=None)
            continue
        if not room.take(account_id=row.account_id, receiver=row.receiver or row.id):
            continue
        _write(conn, row.id, num_attempts=num_attempts, next_attempt_at=now + CLAIM_LIFETIME)
        job = queries.find_job(conn, row.job_id)
        assert job is not None, f"delivery {row.id} of no job"
        claimed.append(Delivery(id=row.id, job=job, receiver=row.receiver or row.id, num_attempts=num_attempts))
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
