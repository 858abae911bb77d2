"""Logs: a row for every finished request of an API key or of all, newest first."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from danqing.api.auth import LogReader
from danqing.api.fields import Text
from danqing.api.periods import WireTime
from danqing.api.report_bodies import (
    DEFAULT_PAGE_ROWS,
    NO_TOKENS,
    AmountFields,
    PageRows,
    TokenCounts,
    amount_fields,
)
from danqing.api.services import ServicesDep
from danqing.api.windows import AskedWindow, WindowQuery
from danqing.jobs.job import Job, Origin
from danqing.pictures.request import MODEL_ID
from danqing.reports.logs import LogPage, list_logs
from danqing.reports.outcomes import Outcome, outcome_of

MAX_OFFSET_ROWS = 1_000_000
MAX_REPEATS = 50
# A model's name without the part before the slash.
MODEL_ALIAS = MODEL_ID.rpartition("/")[2]

Models = Annotated[
    list[Text],
    Query(default_factory=list, max_length=MAX_REPEATS, description="Repeat the parameter for several models."),
]
Outcomes = Annotated[
    list[Outcome], Query(default_factory=list, max_length=MAX_REPEATS, description="Repeat it for both outcomes.")
]

router = APIRouter(tags=["usage"])


class LogRow(BaseModel):
    """One finished request. `inference_id` is also the `reference_id` of its charge."""

    created: WireTime
    status: Outcome
    origin: Origin
    model: str
    cost: AmountFields
    tokens: TokenCounts
    request_id: str | None
    inference_id: str
    client_request_id: str | None
    error_code: str | None
    api_key_prefix: str


class LogPagination(BaseModel):
    """The place of a page among all rows."""

    limit: int
    offset: int
    total: int
    has_more: bool


class LogBody(BaseModel):
    """A page of rows, newest first."""

    data: list[LogRow]
    pagination: LogPagination


@router.get("/v2/logs")
async def read_logs(
    services: ServicesDep,
    _: LogReader,
    asked: Annotated[AskedWindow, Depends(WindowQuery(default_period=timedelta(days=7)))],
    model: Models,
    status: Outcomes,
    limit: PageRows = DEFAULT_PAGE_ROWS,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET_ROWS)] = 0,
) -> LogBody:
    """A row for every finished request of a key, newest first; over 7 days by default. Failed ones cost nothing."""
    outcomes = status or tuple(Outcome)
    names = {MODEL_ALIAS, *services.model_aliases.names}
    models = {MODEL_ID if name in names else name for name in model} or None
    page = await services.database.run_read(
        lambda conn: list_logs(conn, asked.of, outcomes=outcomes, models=models, limit=limit, offset=offset)
    )
    return _body(page, limit=limit, offset=offset)


def _body(page: LogPage, *, limit: int, offset: int) -> LogBody:
    pagination = LogPagination(
        limit=limit, offset=offset, total=page.num_total, has_more=offset + len(page.jobs) < page.num_total
    )
    return LogBody(data=[log_row(job) for job in page.jobs], pagination=pagination)


def log_row(job: Job) -> LogRow:
    """Return a request as a row shows it."""
    return LogRow(
        created=job.created_at,
        status=outcome_of(job.status),
        origin=job.origin,
        model=job.request.model,
        cost=amount_fields(job.charged_credits),
        tokens=NO_TOKENS,
        request_id=job.id,
        inference_id=job.id,
        client_request_id=job.client_request_id,
        error_code=job.error_code,
        api_key_prefix=job.api_key_id,
    )
