"""Jobs that are fetched later: reading, following and cancelling them."""

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from danqing.accounts.api_keys import ApiKey
from danqing.api.auth import ImageReader
from danqing.api.event_stream import EVENT_STREAM_CONTENT, EventStream
from danqing.api.image_events import progress_events
from danqing.api.responses import ResponseFormat, cost_headers, job_body, webhook_fields
from danqing.api.services import Services, ServicesDep
from danqing.api.streamed_json import StreamedJson
from danqing.api.submissions import GENERATIONS_PATH
from danqing.errors import NotFound
from danqing.jobs.job import JOB_ID_LENGTH, Job

POLL_SECONDS = 1
_JOB_ID = re.compile(rf"[0-9A-Za-z]{{{JOB_ID_LENGTH}}}")

EVENTS_RESPONSE: dict[str, Any] = {
    "description": "The events.",
    "content": EVENT_STREAM_CONTENT,
}

router = APIRouter(tags=["images"], prefix=GENERATIONS_PATH)


@router.get("/{job_id}")
async def read_job(job_id: str, request: Request, services: ServicesDep, caller: ImageReader) -> Response:
    """Return the state of a job, with its images or its error once it is finished."""
    job = await _find(job_id, request, services, caller)
    return await _response(job, request, services)


@router.delete("/{job_id}")
async def cancel_job(job_id: str, request: Request, services: ServicesDep, caller: ImageReader) -> Response:
    """Cancel a job; a finished one stays as it is."""
    await _find(job_id, request, services, caller)
    job = await services.jobs.cancel(job_id, account_id=caller.account_id)
    return await _response(job, request, services)


@router.get("/{job_id}/events", response_class=Response, responses={200: EVENTS_RESPONSE})
async def follow_job(job_id: str, request: Request, services: ServicesDep, caller: ImageReader) -> Response:
    """Follow a job: server-sent events for every step, every image, and the end. Leaving does not cancel the job."""
    job = await _find(job_id, request, services, caller)
    events = progress_events(job, response_format=_response_format(job, request, services), services=services)
    return EventStream(events, store=services.store)


async def _find(job_id: str, request: Request, services: Services, caller: ApiKey) -> Job:
    if _JOB_ID.fullmatch(job_id) is None:
        raise NotFound("There is no such job.")
    job = await services.jobs.get(job_id, account_id=caller.account_id)
    request.state.inference_id = job.id
    return job


async def _response(job: Job, request: Request, services: Services) -> Response:
    body = await job_body(job, response_format=_response_format(job, request, services), store=services.store)
    webhook = await services.jobs.webhook_state(job) if job.webhook_url is not None else None
    if webhook is not None:
        body["webhook"] = webhook_fields(webhook)
    if not job.status.finished:
        return JSONResponse(body, headers={"Retry-After": str(POLL_SECONDS)})
    return StreamedJson(body, store=services.store, headers=cost_headers(job))


def _response_format(job: Job, request: Request, services: Services) -> ResponseFormat:
    return ResponseFormat(base_url=services.base_url(request), with_base64=job.inline_images)
