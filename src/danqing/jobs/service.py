"""Everything the edge may do with jobs. Joins queue, runner, lifecycle and events; knows nothing of HTTP.

Database work happens in threads; the event loop never waits for a disk.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime

from danqing.accounts.pricing import Price
from danqing.database import Database
from danqing.engine.interface import Engine
from danqing.jobs.job import Job, JobEvent, Submission
from danqing.jobs.ports import ImageCheck, ImageStore, JobObserver, PromptCheck, PromptExpander


@dataclass(frozen=True, kw_only=True)
class JobLimits:
    """Every bound of the job system.

    `max_queued_jobs` counts all accounts, `max_queued_jobs_per_account` keeps one from filling the queue.
    A job whose owner has not renewed its lease for `lease_seconds` counts as lost.
    """

    max_queued_jobs: int = 512
    max_queued_jobs_per_account: int = 256
    max_concurrent_jobs: int = 4
    max_queue_seconds: float = 600.0
    job_time_limit_seconds: float = 600.0
    lease_seconds: float = 15.0


@dataclass(frozen=True, kw_only=True)
class JobParts:
    """The other parts of the service that a job passes through."""

    engine: Engine
    store: ImageStore
    prompt_check: PromptCheck
    image_check: ImageCheck
    expander: PromptExpander
    observer: JobObserver


class JobService:
    """Takes submissions, runs them, and tells how they are going."""

    def __init__(
        self,
        database: Database,
        *,
        parts: JobParts,
        limits: JobLimits,
        price: Price,
        clock: Callable[[], datetime],
    ) -> None:
        """Hold the parts; nothing runs before `start`."""
        raise NotImplementedError

    @property
    def accepting(self) -> bool:
        """Whether `submit` takes jobs: started and not draining."""
        raise NotImplementedError

    @property
    def num_queued(self) -> int:
        """Jobs waiting in this process."""
        raise NotImplementedError

    @property
    def num_running(self) -> int:
        """Jobs in the engine from this process."""
        raise NotImplementedError

    async def start(self) -> None:
        """Recover what a former process left behind and begin to work. The engine is started by `app`."""
        raise NotImplementedError

    async def drain(self, timeout_seconds: float) -> None:
        """Take no new jobs, let the present ones finish, and settle or hand back what does not make it in time."""
        raise NotImplementedError

    async def submit(self, submission: Submission) -> Job:
        """Check the prompt, hold the credits, write and queue the job; the same idempotency key finds the same job.

        Raises ModerationBlocked, InsufficientCredits, SpendLimitReached, IdempotencyConflict, IdempotencyMismatch,
        RateLimitExceeded (the account's share of the queue is full), Overloaded (the queue is full, or draining).
        """
        raise NotImplementedError

    def subscribe(self, job_id: str, *, account_id: str) -> AsyncGenerator[JobEvent, None]:
        """Tell what happens to the job until Finished; who comes late gets the latest step and every image first.

        Raises NotFound at the first step for a job of another account.
        """
        raise NotImplementedError

    async def wait(self, job_id: str, *, account_id: str) -> Job:
        """Return the job once it is finished."""
        raise NotImplementedError

    async def get(self, job_id: str, *, account_id: str) -> Job:
        """Return the job as it stands. Raises NotFound, also for a job of another account."""
        raise NotImplementedError

    async def cancel(self, job_id: str, *, account_id: str) -> Job:
        """Stop the job within one denoising step and release its hold; a finished job is returned as it is."""
        raise NotImplementedError
