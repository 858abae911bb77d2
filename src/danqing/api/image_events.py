"""Events of a running job: OpenAI's for a streamed generation, and our own for a job that is followed."""

import base64
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from danqing.api.errors import error_fields
from danqing.api.event_stream import ServerSentEvent
from danqing.api.responses import ResponseFormat, created_seconds, failure_of, job_body, meta_fields
from danqing.api.services import Services
from danqing.api.streamed_json import Base64File
from danqing.errors import ServiceError
from danqing.jobs.job import Finished, ImageDone, Job, JobImage, JobStatus, StepDone
from danqing.pictures.sizes import AUTO

Events = AsyncGenerator[ServerSentEvent, None]

# OpenAI's clients read these counts; images are not priced by tokens here.
NO_TOKENS = {
    "input_tokens": 0,
    "output_tokens": 0,
    "total_tokens": 0,
    "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
}


async def generation_events(job: Job, *, num_partial_images: int, services: Services) -> Events:
    """Yield OpenAI's events: up to `num_partial_images` previews of each image, then every finished image."""
    partials = _Partials(num_partial_images)
    try:
        async with aclosing(services.jobs.subscribe(job.id, account_id=job.account_id)) as events:
            async for event in events:
                if isinstance(event, StepDone):
                    fields = partials.next_fields(event)
                    if fields is not None:
                        yield _image_event("partial_image", job, fields)
                elif isinstance(event, Finished):
                    async for completed in _completed_events(event.job, services):
                        yield completed
    except ServiceError as error:
        yield _error_event(error)


async def progress_events(job: Job, *, response_format: ResponseFormat, services: Services) -> Events:
    """Yield an event for every step and every image, and at the end one with the body that GET returns."""
    try:
        async with aclosing(services.jobs.subscribe(job.id, account_id=job.account_id, hand_out=True)) as events:
            async for event in events:
                if isinstance(event, StepDone):
                    yield _event("image_generation.progress", _progress_fields(event))
                elif isinstance(event, ImageDone):
                    fields = await response_format.image_fields(event.image, services.store)
                    yield _event("image_generation.image", {"image_index": event.image.image_index, **fields})
                else:
                    body = await job_body(event.job, response_format=response_format, store=services.store)
                    yield _event("image_generation.finished", body)
    except ServiceError as error:
        yield _error_event(error)


class _Partials:
    """The previews that were sent of each image, at most `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._num_sent: dict[int, int] = {}

    def next_fields(self, event: StepDone) -> dict[str, Any] | None:
        """Return the fields of the next partial image; None when this step has none to send."""
        num_sent = self._num_sent.get(event.image_index, 0)
        if event.preview_png is None or num_sent >= self._limit or event.step >= event.num_steps:
            return None
        self._num_sent[event.image_index] = num_sent + 1
        preview = base64.b64encode(event.preview_png).decode()
        return {"b64_json": preview, "partial_image_index": num_sent, "image_index": event.image_index}


async def _completed_events(job: Job, services: Services) -> Events:
    if job.status is not JobStatus.COMPLETED:
        yield _error_event(failure_of(job))
        return
    for image in job.images:
        fields = {
            "b64_json": Base64File(await services.store.find(image.path)),
            "image_index": image.image_index,
            "seed": image.seed,
            "usage": NO_TOKENS,
            "meta": meta_fields(job),
        }
        if image.revised_prompt is not None:
            fields["revised_prompt"] = image.revised_prompt
        yield _image_event("completed", job, fields, image=image)


def _image_event(name: str, job: Job, fields: dict[str, Any], *, image: JobImage | None = None) -> ServerSentEvent:
    width_px = image.width_px if image else job.request.width_px
    height_px = image.height_px if image else job.request.height_px
    common = {
        "created_at": created_seconds(job),
        "size": AUTO if width_px is None or height_px is None else f"{width_px}x{height_px}",
        "quality": "auto",
        "background": "opaque",
        # A preview is always a PNG.
        "output_format": job.request.output_format if image else "png",
    }
    return _event(f"image_generation.{name}", {**fields, **common})


def _progress_fields(event: StepDone) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "image_index": event.image_index,
        "step": event.step,
        "num_steps": event.num_steps,
    }
    if event.estimated:
        fields["estimated"] = True
    if event.preview_png is not None:
        fields["b64_json"] = base64.b64encode(event.preview_png).decode()
    return fields


def _event(name: str, fields: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(name, {"type": name, **fields})


def _error_event(error: ServiceError) -> ServerSentEvent:
    return ServerSentEvent("error", {"type": "error", "error": error_fields(error)})
