"""Usage: an account's requests and charges, summed by model and status."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from danqing.jobs.job import JobStatus
from danqing.reports import queries


@dataclass(frozen=True, kw_only=True)
class UsageRow:
    """The requests for one model that have one status, and what they cost."""

    model: str
    status: JobStatus
    num_requests: int
    charged_credits: int


def usage(conn: Connection, *, account_id: str, created_from: datetime) -> list[UsageRow]:
    """Sum the account's requests by model and status."""
    return [
        UsageRow(
            model=row.model,
            status=JobStatus(row.status),
            num_requests=row.num_requests,
            charged_credits=int(row.charged_credits),
        )
        for row in queries.sum_jobs(conn, account_id=account_id, created_from=created_from)
    ]
