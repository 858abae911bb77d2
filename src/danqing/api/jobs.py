"""Jobs that are fetched later: read, follow, cancel. Knows nothing of how they are made."""

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from danqing.accounts.api_keys import ApiKey
from danqing.api.answers import Delivery, cost_headers, job_answer
from danqing.api.auth import ImageCaller
from danqing.api.event_stream import EventStream
from danqing.api.image_events import progress_events
from danqing.api.services import base_url, services_of
from danqing.errors import NotFound
from danqing.jobs.job import JOB_ID_LENGTH, Job

POLL_AGAIN_SECONDS = 1
_JOB_ID = re.compile(rf"[0-9A-Za-z]{{{JOB_ID_LENGTH}}}")

EVENTS_RESPONSE: dict[str, Any] = {
    "description": "The events.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}

router = APIRouter(tags=["images"], prefix="/v1/images/generations")


@router.get("/{job_id}")
async def read_job(job_id: str, request: Request, caller: ImageCaller) -> Response:
    """Say how a job stands, and what it came to once it is finished."""
    job = await _find(job_id, request, caller)
    return await _answer(job, request)


@router.delete("/{job_id}")
async def cancel_job(job_id: str, request: Request, caller: ImageCaller) -> Response:
    """Stop a job; one that is finished stays as it is."""
    await _find(job_id, request, caller)
    job = await services_of(request).jobs.cancel(job_id, account_id=caller.account_id)
    return await _answer(job, request)


@router.get("/{job_id}/events", response_class=Response, responses={200: EVENTS_RESPONSE})
async def follow_job(job_id: str, request: Request, caller: ImageCaller) -> Response:
    """Follow a job: server-sent events with every step, every picture, and the end. Leaving does not stop the job."""
    job = await _find(job_id, request, caller)
    events = progress_events(job, delivery=_delivery(job, request), services=services_of(request))
    return EventStream(events, on_end=_nothing_to_end)


async def _nothing_to_end() -> None:
    """Whoever only listens owns nothing."""


async def _find(job_id: str, request: Request, caller: ApiKey) -> Job:
    if _JOB_ID.fullmatch(job_id) is None:
        raise NotFound("There is no such job.")
    job = await services_of(request).jobs.get(job_id, account_id=caller.account_id)
    request.state.inference_id = job.id
    return job


async def _answer(job: Job, request: Request) -> Response:
    answer = await job_answer(job, delivery=_delivery(job, request), store=services_of(request).store)
    if not job.status.finished:
        return JSONResponse(answer, headers={"Retry-After": str(POLL_AGAIN_SECONDS)})
    return JSONResponse(answer, headers=cost_headers(job))


def _delivery(job: Job, request: Request) -> Delivery:
    return Delivery(base_url=base_url(request), with_base64=job.inline_images)
