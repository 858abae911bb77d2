"""How a job looks on the wire: the finished answer, its state in between, its headers. Reads pictures, draws none."""

import base64
from dataclasses import dataclass
from typing import Any

from danqing.accounts.pricing import usd_from_credits
from danqing.api.errors import NamedError, error_fields
from danqing.jobs.job import Job, JobImage, JobStatus
from danqing.storage.image_store import ImageStore


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Where the bytes go: a link, base64, or (as `sync_mode` promises) both fields, the link being a data URI."""

    base_url: str
    with_url: bool = True
    with_base64: bool = False

    async def image_fields(self, image: JobImage, store: ImageStore) -> dict[str, Any]:
        """One entry of `data`."""
        fields: dict[str, Any] = {}
        if self.with_base64:
            fields["b64_json"] = base64.b64encode(await store.read(image.path)).decode()
        if self.with_url:
            inline = f"data:{image.content_type};base64,{fields['b64_json']}" if self.with_base64 else None
            fields = {"url": inline or f"{self.base_url}/{image.path}", **fields}
        fields |= {
            "seed": image.seed,
            "width": image.width_px,
            "height": image.height_px,
            "content_type": image.content_type,
            "flagged": image.flagged,
        }
        return fields if image.revised_prompt is None else {**fields, "revised_prompt": image.revised_prompt}


def usage_fields(job: Job) -> dict[str, Any]:
    """What the job cost."""
    return {"credits_used": job.charged_credits, "usd_spent": float(usd_from_credits(job.charged_credits))}


def cost_headers(job: Job) -> dict[str, str]:
    """The same for clients that read headers."""
    return {
        "x-aimlapi-credits-used": str(job.charged_credits),
        "x-aimlapi-usd-spent": f"{usd_from_credits(job.charged_credits):.9f}",
    }


async def finished_answer(job: Job, *, delivery: Delivery, store: ImageStore) -> dict[str, Any]:
    """The body of a completed job."""
    return {
        "created": int((job.finished_at or job.created_at).timestamp()),
        "model": job.request.model,
        "data": [await delivery.image_fields(image, store) for image in job.images],
        "meta": {
            "usage": usage_fields(job),
            "engine": job.engine,
            "warnings": list(job.warnings),
            "safety": dict(job.safety),
        },
    }


async def job_answer(job: Job, *, delivery: Delivery, store: ImageStore) -> dict[str, Any]:
    """The body for whoever asks after a job: its state, and what it came to once it is finished."""
    if job.status is JobStatus.COMPLETED:
        finished = await finished_answer(job, delivery=delivery, store=store)
        return {"id": job.id, "status": "completed", **finished}
    if job.status.finished:
        return {"id": job.id, "status": "error", "error": error_fields(failure_of(job))}
    return {"id": job.id, "status": job.status.value, "model": job.request.model}


def failure_of(job: Job) -> NamedError:
    """The error of a job that ended without success."""
    if job.status is JobStatus.CANCELLED:
        return NamedError("cancelled", job.error_message or "The job was cancelled.")
    return NamedError(job.error_code or "server_error", job.error_message or "The job failed.")
