"""Jobs as values: the submission that goes in, the record and result that come out, the events in between."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from danqing.jobs.body_fingerprint import BodyFingerprint
from danqing.pictures.request import ImageRequest

JOB_ID_LENGTH = 21
_ID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class JobStatus(StrEnum):
    """Where a job stands. On the wire a cancelled job is an error with code `cancelled`."""

    QUEUED = "queued"
    GENERATING = "generating"
    COMPLETED = "completed"
    ERROR = "error"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """A finished job never changes again, and its hold is settled."""
        return self in (JobStatus.COMPLETED, JobStatus.ERROR, JobStatus.CANCELLED)


class Origin(StrEnum):
    """How a request came in."""

    API = "api"
    PLAYGROUND = "playground"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A request as the edge hands it over.

    `body_fingerprint` tells two bodies under one idempotency key apart; `path` is the route the key counts for.
    `inline_images` asks for bytes beside the links when the job is read later; `respond_async` says that the caller
    got the job's id and will come back for it.
    """

    request: ImageRequest
    account_id: str
    api_key_id: str
    origin: Origin
    body_fingerprint: BodyFingerprint
    path: str = "/v1/images/generations"
    client_request_id: str | None = None
    idempotency_key: str | None = None
    warnings: tuple[str, ...] = ()
    webhook_url: str | None = None
    inline_images: bool = False
    respond_async: bool = False
    job_id: str = field(default_factory=lambda: sample_job_id())


@dataclass(frozen=True, kw_only=True)
class JobImage:
    """One finished image; `path` is its key in the image store. A flagged image is black.

    `safety_score` is the image check's, 0 to 1; None where no check looked.
    """

    image_index: int
    seed: int
    path: str
    width_px: int
    height_px: int
    content_type: str
    flagged: bool
    revised_prompt: str | None
    safety_score: float | None = None


@dataclass(frozen=True, kw_only=True)
class JobResult:
    """What a run of a job came to: the stored images, and how they came about."""

    images: tuple[JobImage, ...]
    engine: str
    safety: Mapping[str, object]
    warnings: tuple[str, ...]
    expanded_prompt: str | None
    timings: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as the database last knew it. `id` is also the inference id of its response.

    `price_credits` is what was held, `charged_credits` what was captured. `engine` names the checkpoint that drew.
    `timings` are milliseconds by `JobPart`; a job that failed has none.
    `replayed` is true when `submit` found this job under the request's idempotency key instead of making it.
    """

    id: str
    account_id: str
    api_key_id: str
    origin: Origin
    request: ImageRequest
    status: JobStatus
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    price_credits: int
    charged_credits: int = 0
    images: tuple[JobImage, ...] = ()
    error_code: str | None = None
    error_message: str | None = None
    warnings: tuple[str, ...] = ()
    engine: str | None = None
    safety: Mapping[str, object] = field(default_factory=dict)
    expanded_prompt: str | None = None
    timings: Mapping[str, int] = field(default_factory=dict)
    client_request_id: str | None = None
    idempotency_key: str | None = None
    webhook_url: str | None = None
    inline_images: bool = False
    respond_async: bool = False
    num_attempts: int = 0
    replayed: bool = False

    @property
    def collectable(self) -> bool:
        """Whether the result can still be fetched after the connection of the request is gone."""
        return self.respond_async or self.idempotency_key is not None or self.webhook_url is not None


@dataclass(frozen=True, kw_only=True)
class StepDone:
    """Step `step` of `num_steps`, counted from 1, of one image is done; `preview_png` is a small image, on request.

    `estimated`: the step was guessed from the time that passed.
    """

    image_index: int
    step: int
    num_steps: int
    preview_png: bytes | None = None
    estimated: bool = False


@dataclass(frozen=True, kw_only=True)
class ImageDone:
    """One image is stored and can be fetched. `so_far` is the result of a job that is not finished."""

    image: JobImage
    so_far: JobResult | None = None


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The job is over, with success or without; always the last event."""

    job: Job


JobEvent = StepDone | ImageDone | Finished


def sample_job_id() -> str:
    """Return a random id of 21 letters and digits that nobody can guess."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(JOB_ID_LENGTH))
