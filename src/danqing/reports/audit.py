"""The audit: do jobs and money agree? It reads only, and mends nothing that it finds wrong."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, Row

from danqing.accounts import credits
from danqing.jobs.job import JobStatus
from danqing.jobs.lifecycle import IDEMPOTENCY_LIFETIME
from danqing.reports import queries


def check(conn: Connection) -> list[str]:
    """Recompute the ledger and compare it with the jobs; return one sentence per discrepancy."""
    discrepancies = credits.check(conn)
    for row in queries.compare_jobs_with_holds(conn):
        discrepancies.extend(f"job {row.id}: {problem}" for problem in _problems(row))
    return [*discrepancies, *_repeated_keys(conn)]


def _repeated_keys(conn: Connection) -> Iterator[str]:
    for former, row in pairwise(queries.list_charged_keys(conn)):
        same_key = (former.api_key_id, former.idempotency_key) == (row.api_key_id, row.idempotency_key)
        # Later, the key may stand for a new request.
        if same_key and row.created_at - former.created_at < IDEMPOTENCY_LIFETIME:
            yield f"job {row.id}: its idempotency key {row.idempotency_key!r} had made job {former.id} before"


def _problems(row: Row[Any]) -> Iterator[str]:
    if row.status is None:
        yield "there is a hold but no job"
        return
    if row.amount_credits is None:
        # A refused request costs nothing and holds nothing.
        if row.price_credits or row.charged_credits:
            yield "there is no hold"
        return
    status = JobStatus(row.status)
    if row.amount_credits != row.price_credits:
        yield f"its price is {row.price_credits} credits, but {row.amount_credits} were held"
    if status.finished and row.captured_credits is None:
        yield f"it is {status}, but its hold is open"
    if not status.finished and row.captured_credits is not None:
        yield f"it is {status}, but its hold is settled"
    if (row.captured_credits or 0) != row.charged_credits:
        yield f"it was charged {row.charged_credits} credits, but {row.captured_credits or 0} were captured"
    if status is not JobStatus.COMPLETED and row.charged_credits:
        yield f"it is {status}, but was charged {row.charged_credits} credits"
    owed_credits = row.price_credits // row.request["num_images"] * len(row.images)
    if status is JobStatus.COMPLETED and row.charged_credits != owed_credits:
        yield f"it has {len(row.images)} images, but was charged {row.charged_credits} credits"
