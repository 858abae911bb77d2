"""Everything the edge may do with jobs. Joins the database and the dispatcher; knows nothing of HTTP.

Database work happens in threads; the event loop never waits for a disk.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime

from sqlalchemy import Connection

from danqing.accounts.pricing import Price
from danqing.database import Database
from danqing.errors import ModerationBlocked, NotFound, Overloaded
from danqing.jobs import lifecycle
from danqing.jobs.dispatcher import Dispatcher
from danqing.jobs.job import Finished, ImageDone, Job, JobEvent, Submission
from danqing.jobs.lifecycle import LostJob
from danqing.jobs.limits import JobLimits
from danqing.jobs.ports import JobParts
from danqing.jobs.runner import CHECK_IS_OFF
from danqing.jobs.webhook_targets import require_webhook_url

# How often to look at a job that another process works on.
REMOTE_POLL_SECONDS = 0.5


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
        self._database = database
        self._parts = parts
        self._price = price
        self._clock = clock
        self._dispatcher = Dispatcher(database, parts=parts, limits=limits, clock=clock)

    @property
    def accepting(self) -> bool:
        """Whether `submit` takes jobs: started and not draining."""
        return self._dispatcher.accepting

    @property
    def num_queued(self) -> int:
        """Jobs waiting in this process."""
        return len(self._dispatcher.queue)

    @property
    def num_running(self) -> int:
        """Jobs in the engine from this process."""
        return self._dispatcher.num_running

    async def start(self) -> None:
        """Recover what a former process left behind and begin to work. The engine is started by `app`."""
        await self._dispatcher.start()

    async def drain(self, timeout_seconds: float) -> None:
        """Take no new jobs, let the present ones finish, and settle or hand back what does not make it in time."""
        await self._dispatcher.drain(timeout_seconds)

    async def submit(self, submission: Submission) -> Job:
        """Check the prompt, hold the credits, write and queue the job; the same idempotency key finds the same job.

        A job whose submitter is cancelled meanwhile is cancelled too, unless it can be collected later.
        Raises InvalidRequest (the webhook URL), ModerationBlocked, InsufficientCredits, SpendLimitReached,
        IdempotencyConflict, IdempotencyMismatch, RateLimitExceeded (the account's share of the queue is full),
        Overloaded (the queue is full, or the service is draining).
        """
        if submission.webhook_url is not None:
            require_webhook_url(submission.webhook_url)
        if submission.idempotency_key is not None:
            replay = await self._database.run_read(
                lambda conn: lifecycle.find_replay(conn, submission, now=self._clock())
            )
            if replay is not None:
                return replay
        safety = await self._check_prompt(submission)
        retry_after_seconds = self._dispatcher.retry_after_seconds
        if not self.accepting:
            raise Overloaded(retry_after_seconds=retry_after_seconds)
        self._dispatcher.queue.reserve(submission.account_id, retry_after_seconds=retry_after_seconds)
        writing = asyncio.ensure_future(self._write_and_enqueue(submission, safety))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await self._withdraw(writing)
            raise

    async def subscribe(self, job_id: str, *, account_id: str) -> AsyncGenerator[JobEvent, None]:
        """Tell what happens to the job until Finished; who comes late gets the latest step and every image first.

        Raises NotFound at the first step for a job of another account.
        """
        told: set[int] = set()
        while True:
            channel = self._dispatcher.channel(job_id)
            if channel is not None and channel.account_id == account_id:
                async with aclosing(channel.follow()) as events:
                    async for event in events:
                        if isinstance(event, ImageDone):
                            told.add(event.image.image_index)
                        yield event
                        if isinstance(event, Finished):
                            return
            job = await self.get(job_id, account_id=account_id)
            if job.status.finished:
                for image in job.images:
                    if image.image_index not in told:
                        yield ImageDone(image=image)
                yield Finished(job=job)
                return
            await asyncio.sleep(REMOTE_POLL_SECONDS)

    async def wait(self, job_id: str, *, account_id: str) -> Job:
        """Return the job once it is finished."""
        async with aclosing(self.subscribe(job_id, account_id=account_id)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event.job
        raise AssertionError("the events of a job end with Finished")

    async def get(self, job_id: str, *, account_id: str) -> Job:
        """Return the job as it stands. Raises NotFound, also for a job of another account."""
        job = await self._database.run_read(lambda conn: lifecycle.get(conn, job_id))
        if job.account_id != account_id:
            raise NotFound(f"There is no job {job_id!r}.")
        return job

    async def cancel(self, job_id: str, *, account_id: str) -> Job:
        """Stop the job within one denoising step and release its hold; a finished job is returned as it is."""
        job = await self.get(job_id, account_id=account_id)
        if job.status.finished:
            return job
        try:
            job = await self._database.run_write(lambda conn: lifecycle.cancel(conn, job_id, now=self._clock()))
        except LostJob:
            return await self.get(job_id, account_id=account_id)
        self._dispatcher.end(job)
        return job

    async def _check_prompt(self, submission: Submission) -> dict[str, object]:
        request = submission.request
        switched_off = not request.enable_safety_checker
        verdict = await self._parts.prompt_check.check(
            request.prompt, negative_prompt=request.negative_prompt, essential_only=switched_off
        )
        if not verdict.allowed:
            raise ModerationBlocked(verdict.reason, param="prompt")
        if switched_off:
            return {"enabled": False, "prompt_check": CHECK_IS_OFF}
        return {"enabled": True, "prompt_check": verdict.checker}

    async def _write_and_enqueue(self, submission: Submission, safety: dict[str, object]) -> Job:
        with self._dispatcher.writing(submission.job_id):
            try:
                job = await self._database.run_write(lambda conn: self._write(conn, submission, safety))
            except BaseException:
                self._dispatcher.queue.give_up(submission.account_id)
                raise
            if job.replayed:
                self._dispatcher.queue.give_up(submission.account_id)
            else:
                self._dispatcher.enqueue(job)
            return job

    def _write(self, conn: Connection, submission: Submission, safety: dict[str, object]) -> Job:
        lease, now = self._dispatcher.lease(), self._clock()
        return lifecycle.submit(conn, submission, price=self._price, safety=safety, lease=lease, now=now)

    async def _withdraw(self, writing: "asyncio.Future[Job]") -> None:
        await asyncio.wait([writing])
        if writing.exception() is None:
            job = writing.result()
            if not job.collectable:
                await self.cancel(job.id, account_id=job.account_id)
