"""Response bodies of jobs: finished generations, jobs on their way, and what they cost."""

from dataclasses import dataclass
from typing import Any

from danqing.accounts.pricing import usd_from_credits
from danqing.api.errors import NamedError, error_fields
from danqing.api.periods import wire_time
from danqing.api.streamed_json import Base64File
from danqing.jobs.deliveries import WebhookState
from danqing.jobs.job import Job, JobImage, JobStatus
from danqing.storage.image_store import ImageStore


@dataclass(frozen=True, kw_only=True)
class ResponseFormat:
    """How a response carries its images: as a link, as base64, or as both, the link then being a data URI."""

    base_url: str
    with_url: bool = True
    with_base64: bool = False

    async def image_fields(self, image: JobImage, store: ImageStore) -> dict[str, Any]:
        """Return one entry of `data`. Bytes are `Base64File`s, so that only `StreamedJson` reads them."""
        fields: dict[str, Any] = {}
        stored = await store.find(image.path) if self.with_base64 else None
        if self.with_url:
            link = f"{self.base_url}/{image.path}"
            fields["url"] = link if stored is None else Base64File(stored, f"data:{image.content_type};base64,")
        if stored is not None:
            fields["b64_json"] = Base64File(stored)
        fields |= {
            "seed": image.seed,
            "width": image.width_px,
            "height": image.height_px,
            "content_type": image.content_type,
            "flagged": image.flagged,
        }
        return fields if image.revised_prompt is None else {**fields, "revised_prompt": image.revised_prompt}


def meta_fields(job: Job) -> dict[str, Any]:
    """Return `meta`: cost, checkpoint, warnings, checks and parameters of a completed job."""
    cost = {"credits_used": job.charged_credits, "usd_spent": float(usd_from_credits(job.charged_credits))}
    safety = dict(job.safety)
    if any(image.safety_score is not None for image in job.images):
        safety["image_scores"] = [image.safety_score for image in job.images]
    return {
        "usage": cost,
        "engine": job.engine,
        "warnings": list(job.warnings),
        "safety": safety,
        "parameters": _parameters(job),
    }


def _parameters(job: Job) -> dict[str, Any]:
    """Return what the images were drawn with, under the request's field names, whether the request named it or not."""
    request, image = job.request, job.images[0]
    return {
        "num_images": request.num_images,
        "seed": request.seed,
        "image_size": {"width": image.width_px, "height": image.height_px},
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
        "step_reuse": request.step_reuse,
    }


def cost_headers(job: Job) -> dict[str, str]:
    """Return the cost for clients that read headers."""
    return {
        "x-aimlapi-credits-used": str(job.charged_credits),
        "x-aimlapi-usd-spent": f"{usd_from_credits(job.charged_credits):.9f}",
    }


def created_seconds(job: Job) -> int:
    """Return `created`: when the job ended, or began as long as it has not, in seconds since 1970."""
    return int((job.finished_at or job.created_at).timestamp())


async def generation_body(job: Job, *, response_format: ResponseFormat, store: ImageStore) -> dict[str, Any]:
    """Return the body of a completed job."""
    return {
        "created": created_seconds(job),
        "model": job.request.model,
        "data": [await response_format.image_fields(image, store) for image in job.images],
        "meta": meta_fields(job),
    }


async def job_body(job: Job, *, response_format: ResponseFormat, store: ImageStore) -> dict[str, Any]:
    """Return the state of a job that is fetched later, with its images or its error once it is finished."""
    if job.status is JobStatus.COMPLETED:
        finished = await generation_body(job, response_format=response_format, store=store)
        return {"id": job.id, "status": "completed", **finished}
    if job.status.finished:
        return {"id": job.id, "status": "error", "error": error_fields(failure_of(job))}
    return {"id": job.id, "status": job.status.value, "model": job.request.model}


def webhook_fields(webhook: WebhookState) -> dict[str, Any]:
    """Return what became of a job's webhook: `waiting` for the job's end, `pending`, `delivered` or `failed`."""
    next_attempt_at = webhook.next_attempt_at
    return {
        "status": webhook.status.value,
        "attempts": webhook.num_attempts,
        "next_attempt_at": None if next_attempt_at is None else wire_time(next_attempt_at),
        "last_error": webhook.last_error,
    }


def failure_of(job: Job) -> NamedError:
    """Return the error of a job that ended without success."""
    if job.status is JobStatus.CANCELLED:
        return NamedError("cancelled", job.error_message or "The job was cancelled.")
    return NamedError(job.error_code or "server_error", job.error_message or "The job failed.")
