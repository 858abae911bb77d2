"""Image generation: a response with the images, a stream of events, or 202 with a job to fetch later."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from danqing.accounts.api_keys import ApiKey
from danqing.api.auth import ImageCaller
from danqing.api.context import CLIENT_CLOSED_STATUS
from danqing.api.documents import GENERATION_DOCUMENT
from danqing.api.event_stream import EventStream, disconnected
from danqing.api.image_events import generation_events
from danqing.api.jobs import POLL_SECONDS
from danqing.api.responses import cost_headers, failure_of, generation_body
from danqing.api.services import Services, ServicesDep
from danqing.api.streamed_json import StreamedJson
from danqing.api.submissions import GENERATIONS_PATH, GenerationCall, read_call
from danqing.jobs.job import Job, JobStatus

Result = TypeVar("Result")

router = APIRouter(tags=["images"])


@router.post(GENERATIONS_PATH, operation_id="_v1_images_generations", **GENERATION_DOCUMENT)
async def create_image(request: Request, services: ServicesDep, caller: ImageCaller) -> Response:
    """Draw images from a prompt."""
    call = await read_call(request, services, caller)
    job = await services.jobs.submit(call.submission)
    _name_job(request, job)
    if call.submission.respond_async:
        return _accepted(job, services)
    if call.stream:
        return _stream(job, call, services)
    return await _images(request, job, call, services, caller)


def _name_job(request: Request, job: Job) -> None:
    request.state.inference_id = job.id
    if job.replayed:
        request.state.response_headers["Idempotent-Replayed"] = "true"


def _accepted(job: Job, services: Services) -> Response:
    headers = {
        "Location": f"{(services.public_url or '').rstrip('/')}{GENERATIONS_PATH}/{job.id}",
        "Retry-After": str(POLL_SECONDS),
        "Preference-Applied": "respond-async",
    }
    body: dict[str, Any] = {"id": job.id, "status": job.status.value}
    if job.warnings:
        body["warnings"] = list(job.warnings)
    return JSONResponse(body, status_code=202, headers=headers)


def _stream(job: Job, call: GenerationCall, services: Services) -> Response:
    async def end() -> None:
        await services.jobs.abandon(job)

    events = generation_events(job, num_partial_images=call.num_partial_images, services=services)
    return EventStream(events, store=services.store, on_end=end)


async def _images(request: Request, job: Job, call: GenerationCall, services: Services, caller: ApiKey) -> Response:
    if not job.status.finished:
        finished = await _unless_disconnected(request, services.jobs.wait(job.id, account_id=caller.account_id))
        if finished is None:
            await services.jobs.abandon(job)
            return Response(status_code=CLIENT_CLOSED_STATUS)
        job = finished
    if job.status is not JobStatus.COMPLETED:
        raise failure_of(job)
    body = await generation_body(job, response_format=call.response_format, store=services.store)
    return StreamedJson(body, store=services.store, headers=cost_headers(job))


async def _unless_disconnected(request: Request, work: Coroutine[Any, Any, Result]) -> Result | None:
    """Wait for the work; None when the client left first."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(disconnected(request.receive))
    try:
        await asyncio.wait([working, leaving], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.wait([working, leaving])
