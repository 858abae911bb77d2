"""Usage of an account: sums by model, and a line for every request."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.responses import JSONResponse, Response

from danqing.accounts.pricing import usd_from_credits
from danqing.api.auth import Caller
from danqing.api.billing import DEFAULT_PAGE_ROWS, PageRows
from danqing.api.periods import Period, parse_period, wire_time
from danqing.api.services import ServicesDep
from danqing.jobs.job import Job, JobStatus
from danqing.reports.logs import list_logs
from danqing.reports.usage import UsageRow, usage

MAX_OFFSET_ROWS = 1_000_000

# On the wire a cancelled job is an error.
STATUSES = {
    "queued": frozenset({JobStatus.QUEUED}),
    "generating": frozenset({JobStatus.GENERATING}),
    "completed": frozenset({JobStatus.COMPLETED}),
    "error": frozenset({JobStatus.ERROR, JobStatus.CANCELLED}),
}
WIRE_STATUS = {status: name for name, statuses in STATUSES.items() for status in statuses}

router = APIRouter(tags=["usage"], prefix="/v2")


@router.get("/usage")
async def read_usage(services: ServicesDep, caller: Caller, period: Period = "24h") -> Response:
    """Requests and credits by model over a period."""
    created_from = services.clock() - parse_period(period)
    rows = await services.database.run_read(
        lambda conn: usage(conn, account_id=caller.account_id, created_from=created_from)
    )
    models = sorted({row.model for row in rows})
    return JSONResponse(
        {
            "period": period,
            "from": wire_time(created_from),
            "data": [_model_fields(model, [row for row in rows if row.model == model]) for model in models],
        }
    )


@router.get("/logs")
async def read_logs(
    services: ServicesDep,
    caller: Caller,
    period: Period = "7d",
    status: Literal["queued", "generating", "completed", "error"] | None = None,
    limit: PageRows = DEFAULT_PAGE_ROWS,
    offset: Annotated[int, Query(ge=0, le=MAX_OFFSET_ROWS)] = 0,
) -> Response:
    """A line for every request, newest first."""
    created_from = services.clock() - parse_period(period)
    statuses = frozenset(JobStatus) if status is None else STATUSES[status]
    page = await services.database.run_read(
        lambda conn: list_logs(
            conn,
            account_id=caller.account_id,
            created_from=created_from,
            statuses=statuses,
            limit=limit,
            offset=offset,
        )
    )
    return JSONResponse(
        {
            "data": [_log_fields(job) for job in page.jobs],
            "pagination": {"limit": limit, "offset": offset, "total": page.num_total},
        }
    )


def _cost_fields(amount_credits: int) -> dict[str, Any]:
    return {"credits": amount_credits, "usd": float(usd_from_credits(amount_credits))}


def _model_fields(model: str, rows: list[UsageRow]) -> dict[str, Any]:
    by_status = dict.fromkeys(STATUSES, 0)
    for row in rows:
        by_status[WIRE_STATUS[row.status]] += row.num_requests
    return {
        "model": model,
        "requests": sum(by_status.values()),
        "by_status": by_status,
        "cost": _cost_fields(sum(row.charged_credits for row in rows)),
    }


def _log_fields(job: Job) -> dict[str, Any]:
    return {
        "created_at": wire_time(job.created_at),
        "status": WIRE_STATUS[job.status],
        "error_code": job.error_code,
        "origin": job.origin.value,
        "model": job.request.model,
        "cost": _cost_fields(job.charged_credits),
        "inference_id": job.id,
        "client_request_id": job.client_request_id,
    }
