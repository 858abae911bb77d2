"""Logs: the finished requests of an API key, newest first."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection

from danqing.errors import InvalidRequest, NotFound
from danqing.jobs.job import Job
from danqing.reports import queries
from danqing.reports.outcomes import Outcome
from danqing.reports.pages import require_limit
from danqing.reports.windows import KeyWindow


@dataclass(frozen=True, kw_only=True)
class LogPage:
    """Jobs, newest first, and how many match in all."""

    jobs: tuple[Job, ...]
    num_total: int


def list_logs(
    conn: Connection,
    window: KeyWindow,
    *,
    outcomes: Collection[Outcome] = tuple(Outcome),
    models: Collection[str] | None = None,
    limit: int,
    offset: int,
) -> LogPage:
    """Return a page of the requests of a window, of these models unless None.

    Raises InvalidRequest for a limit or an offset out of range.
    """
    require_limit(limit)
    if offset < 0:
        raise InvalidRequest("offset: 0 or more", param="offset")
    page = queries.list_requests(conn, window, outcomes=outcomes, models=models, limit=limit, offset=offset)
    num_total = queries.count_requests(conn, window, outcomes=outcomes, models=models)
    return LogPage(jobs=tuple(page), num_total=num_total)


def find_log(conn: Connection, job_id: str, *, account_id: str, api_key_id: str | None) -> Job:
    """Return a request of the account, of one key unless None. Raises NotFound, also while it is unfinished."""
    job = queries.find_request(conn, job_id, account_id=account_id)
    if job is None or not job.status.finished or api_key_id not in (None, job.api_key_id):
        raise NotFound("There is no such finished request.")
    return job
