"""One finished request in full: parameters, timings, images while their links live, and the error its client saw."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from danqing.accounts.api_keys import KeyKind
from danqing.api.auth import LogReader
from danqing.api.errors import FORMS, code_of, error_fields
from danqing.api.logs import LogRow, log_row
from danqing.api.periods import WireTime
from danqing.api.responses import failure_of
from danqing.api.services import Services, ServicesDep
from danqing.errors import Gone, NotFound
from danqing.jobs.job import Job, JobImage
from danqing.jobs.timings import JobPart
from danqing.reports.logs import find_log
from danqing.reports.outcomes import Outcome, outcome_of

# Fields of the image request that the described body names otherwise, or not at all.
_NOT_SHOWN = {"model", "width_px", "height_px", "preview_every_steps"}

router = APIRouter(tags=["usage"])


class RequestTimings(BaseModel):
    """Milliseconds; null for a part that did not happen, or was not measured because the request failed.

    `check` and `store` are sums over the images, while others are drawn.
    """

    queue: int | None
    expand: int | None
    draw: int | None
    check: int | None
    store: int | None
    total: int


class LoggedImage(BaseModel):
    """An image; `url` is null once its link has expired."""

    url: str | None
    expires_at: WireTime | None
    seed: int
    width: int
    height: int
    content_type: str
    flagged: bool


class LoggedError(BaseModel):
    """The error as the client saw it: the status of the response and its `error`."""

    status: int
    error: dict[str, Any]


class LoggedRequest(LogRow):
    """A request in full; `parameters` are complete, whether the request named them or not."""

    started: WireTime | None
    finished: WireTime
    engine: str | None
    parameters: dict[str, Any]
    revised_prompt: str | None
    warnings: list[str]
    safety: dict[str, Any]
    timings: RequestTimings
    images: list[LoggedImage]
    error: LoggedError | None


class LoggedRequestBody(BaseModel):
    """One request."""

    data: LoggedRequest


@router.get("/v2/logs/{inference_id}")
async def read_logged_request(
    inference_id: str, request: Request, services: ServicesDep, caller: LogReader
) -> LoggedRequestBody:
    """One finished request in full: of the key itself or, for a management key, of any key of the account."""
    own_key = None if caller.kind is KeyKind.MANAGEMENT else caller.prefix
    # PostgreSQL stores no NUL in a text.
    if not inference_id.isprintable():
        raise NotFound("There is no such finished request.")
    job = await services.database.run_read(
        lambda conn: find_log(conn, inference_id, account_id=caller.account_id, api_key_id=own_key)
    )
    base_url = services.base_url(request)
    images = [await _image(image, services, base_url=base_url) for image in job.images]
    return LoggedRequestBody(data=_logged(job, images))


def _logged(job: Job, images: list[LoggedImage]) -> LoggedRequest:
    failed = outcome_of(job.status) is Outcome.FAILED
    assert job.finished_at is not None, f"job {job.id} is finished"
    return LoggedRequest(
        **log_row(job).model_dump(),
        started=job.started_at,
        finished=job.finished_at,
        engine=job.engine,
        parameters=_parameters(job),
        revised_prompt=job.expanded_prompt,
        warnings=list(job.warnings),
        safety=dict(job.safety),
        timings=_timings(job),
        images=images,
        error=_error(job) if failed else None,
    )


def _parameters(job: Job) -> dict[str, Any]:
    request = job.request
    size = None
    if request.width_px is not None:
        size = {"width": request.width_px, "height": request.height_px}
    values = {name: value for name, value in asdict(request).items() if name not in _NOT_SHOWN}
    return {**values, "image_size": size or "auto"}


def _timings(job: Job) -> RequestTimings:
    assert job.finished_at is not None, f"job {job.id} is finished"
    parts = {part.value: job.timings.get(part.value) for part in JobPart}
    queue = None if job.started_at is None else _milliseconds((job.started_at - job.created_at).total_seconds())
    total = _milliseconds((job.finished_at - job.created_at).total_seconds())
    return RequestTimings(queue=queue, total=total, **parts)


def _milliseconds(seconds: float) -> int:
    # The clocks of two processes may differ a little.
    return max(0, round(seconds * 1000))


def _error(job: Job) -> LoggedError:
    failure = failure_of(job)
    return LoggedError(status=FORMS[code_of(failure)].status, error=error_fields(failure))


async def _image(image: JobImage, services: Services, *, base_url: str) -> LoggedImage:
    try:
        stored = await services.store.find(image.path)
    except (Gone, NotFound):
        stored = None
    return LoggedImage(
        url=f"{base_url}/{image.path}" if stored else None,
        expires_at=stored.expires_at if stored else None,
        seed=image.seed,
        width=image.width_px,
        height=image.height_px,
        content_type=image.content_type,
        flagged=image.flagged,
    )
