"""Logs: an account's requests, newest first."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from danqing.errors import InvalidRequest
from danqing.jobs.job import Job, JobStatus
from danqing.reports import queries
from danqing.reports.pages import require_limit


@dataclass(frozen=True, kw_only=True)
class LogPage:
    """Jobs, newest first, and how many match in all."""

    jobs: tuple[Job, ...]
    num_total: int


def list_logs(
    conn: Connection,
    *,
    account_id: str,
    created_from: datetime,
    statuses: frozenset[JobStatus],
    limit: int,
    offset: int,
) -> LogPage:
    """Return a page of the account's requests. Raises InvalidRequest for a limit or an offset out of range."""
    require_limit(limit)
    if offset < 0:
        raise InvalidRequest("offset: 0 or more", param="offset")
    page = queries.list_jobs(
        conn, account_id=account_id, created_from=created_from, statuses=statuses, limit=limit, offset=offset
    )
    num_total = queries.count_jobs(conn, account_id=account_id, created_from=created_from, statuses=statuses)
    return LogPage(jobs=tuple(page), num_total=num_total)
