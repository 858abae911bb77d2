"""POST /v1/images/generations: the wait for pictures, the stream, or the promise. Decides only how to answer."""

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from danqing.accounts.api_keys import ApiKey
from danqing.api.answers import cost_headers, failure_of, finished_answer
from danqing.api.auth import ImageCaller, count_request
from danqing.api.documents import GENERATION_DOCUMENT
from danqing.api.event_stream import EventStream, disconnected
from danqing.api.image_events import generation_events
from danqing.api.services import Services, services_of
from danqing.api.submissions import GENERATIONS_PATH, Order, read_order
from danqing.jobs.job import Job, JobStatus

ASYNC_RETRY_AFTER_SECONDS = 1

Result = TypeVar("Result")

router = APIRouter(tags=["images"])


@router.post("/images/generations", include_in_schema=False)
@router.post("/images/generations/", include_in_schema=False)
@router.post("/v1/images/generations/", include_in_schema=False)
@router.post("/v1/images/generations", operation_id="_v1_images_generations", **GENERATION_DOCUMENT)
async def create_image(request: Request, caller: ImageCaller) -> Response:
    """Draw pictures from a prompt."""
    count_request(request, caller)
    order = await read_order(request, caller)
    services = services_of(request)
    with ExitStack() as turn:
        turn.enter_context(services.key_limits.running(caller.prefix))
        job = await services.jobs.submit(order.submission)
        _name_job(request, job)
        if order.submission.respond_async:
            return _promise(job)
        if order.stream:
            return _stream(job, order=order, services=services, turn=turn.pop_all())
        return await _pictures(request, job, order=order, caller=caller)


def _name_job(request: Request, job: Job) -> None:
    request.state.inference_id = job.id
    if job.replayed:
        request.state.answer_headers["Idempotent-Replayed"] = "true"


def _promise(job: Job) -> Response:
    headers = {
        "Location": f"{GENERATIONS_PATH}/{job.id}",
        "Retry-After": str(ASYNC_RETRY_AFTER_SECONDS),
        "Preference-Applied": "respond-async",
    }
    return JSONResponse({"id": job.id, "status": job.status.value}, status_code=202, headers=headers)


def _stream(job: Job, *, order: Order, services: Services, turn: ExitStack) -> Response:
    async def end() -> None:
        turn.close()
        if not job.collectable:
            # Changes nothing once the job is finished.
            await services.jobs.cancel(job.id, account_id=job.account_id)

    return EventStream(generation_events(job, order=order, services=services), on_end=end)


async def _pictures(request: Request, job: Job, *, order: Order, caller: ApiKey) -> Response:
    services = services_of(request)
    if not job.status.finished:
        finished = await _unless_disconnected(request, services.jobs.wait(job.id, account_id=caller.account_id))
        if finished is None:
            if not job.collectable:
                await services.jobs.cancel(job.id, account_id=caller.account_id)
            # Nobody reads this; the log shows what happened.
            return Response(status_code=499)
        job = finished
    if job.status is not JobStatus.COMPLETED:
        raise failure_of(job)
    answer = await finished_answer(job, delivery=order.delivery, store=services.store)
    return JSONResponse(answer, headers=cost_headers(job))


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
