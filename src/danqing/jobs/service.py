"""The job service: takes submissions, runs them, and tells their callers how they are going.

Database work happens in threads; the event loop never waits for a disk.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection

from danqing.accounts.pricing import Price
from danqing.database import Database
from danqing.engine.interface import require_usable
from danqing.errors import (
    InsufficientCredits,
    ModerationBlocked,
    NotFound,
    Overloaded,
    ServiceError,
    SpendLimitReached,
)
from danqing.jobs import deliveries, lifecycle
from danqing.jobs.deliveries import WebhookState
from danqing.jobs.events import JobChannel
from danqing.jobs.image_checks import CHECK_IS_OFF
from danqing.jobs.job import Finished, ImageDone, Job, JobEvent, Submission
from danqing.jobs.leases import Heartbeat, LeaseTerms
from danqing.jobs.lifecycle import LostJob
from danqing.jobs.limits import JobLimits
from danqing.jobs.local_jobs import LocalJobs
from danqing.jobs.outcomes import Outcomes
from danqing.jobs.ports import JobParts
from danqing.jobs.signals import CHANNEL, JobSignals
from danqing.jobs.webhook_targets import WebhookTargets
from danqing.jobs.workers import Workers
from danqing.pictures.request import ImageRequest


class JobService:
    """The interface of the job system to HTTP and the command line."""

    def __init__(
        self,
        database: Database,
        *,
        parts: JobParts,
        limits: JobLimits,
        price: Price,
        clock: Callable[[], datetime],
        webhook_targets: WebhookTargets | None = None,
    ) -> None:
        """Connect the parts; nothing runs before `start`. By default, webhooks go to public addresses alone."""
        self._database = database
        self._engine = parts.engine
        self._prompt_check = parts.prompt_check
        self._price = price
        self._max_running_per_key = limits.max_running_per_key
        self._clock = clock
        self._webhook_targets = webhook_targets or WebhookTargets()
        self._lease_terms = LeaseTerms(lease_seconds=limits.lease_seconds, clock=clock)
        self._local_jobs = LocalJobs(limits=limits, observer=parts.observer)
        self._outcomes = Outcomes(
            database, local_jobs=self._local_jobs, lease_owner=self._lease_terms.owner, clock=clock
        )
        self._heartbeat = Heartbeat(
            database,
            local_jobs=self._local_jobs,
            outcomes=self._outcomes,
            lease_terms=self._lease_terms,
            observer=parts.observer,
            limits=limits,
            clock=clock,
        )
        self._workers = Workers(
            database,
            local_jobs=self._local_jobs,
            outcomes=self._outcomes,
            lease_terms=self._lease_terms,
            parts=parts,
            limits=limits,
            clock=clock,
        )
        self._signals = JobSignals(database.signal_listener(CHANNEL))
        self._learning: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._accepting = False

    @property
    def accepting(self) -> bool:
        """Whether `submit` takes jobs: started and not draining."""
        return self._accepting

    def price_credits(self, request: ImageRequest) -> int:
        """Return what a request would hold."""
        return lifecycle.price_credits(request, self._price)

    @property
    def num_queued(self) -> int:
        """Jobs waiting in this process."""
        return len(self._local_jobs.queue)

    @property
    def num_running(self) -> int:
        """Jobs in the engine from this process."""
        return self._local_jobs.num_running

    async def start(self) -> None:
        """Recover what a former process left behind and begin to work. The engine is started by `app`."""
        await self._heartbeat.start()
        self._accepting = True
        self._workers.start()
        self._signals.start(self._learn_end)

    async def heartbeat(self) -> None:
        """Renew leases, end overdue jobs, recover lost ones. Happens by itself, several times within a lease."""
        await self._heartbeat.beat()

    async def drain(self, timeout_seconds: float) -> None:
        """Shut down gracefully: take no new jobs, let the present ones finish, and settle or hand back the rest.

        Of several calls, the one whose time ends first ends the others too.
        """
        self._accepting = self._heartbeat.recovering = False
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._local_jobs.wait_until_empty()
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="jobs-close")
        await asyncio.shield(self._closing)

    async def submit(self, submission: Submission) -> Job:
        """Check the prompt, hold the credits, write and queue the job; the same idempotency key finds the same job.

        A job whose submitter is cancelled meanwhile is cancelled too, unless it can be collected later.
        Raises InvalidRequest (the webhook URL), ModerationBlocked, InsufficientCredits, SpendLimitReached,
        IdempotencyConflict, IdempotencyMismatch, RateLimitExceeded (the account's share of the queue is full, or the
        key has too many requests running), Overloaded (the queue is full, or the service is draining), EngineFailed
        (it would never be drawn).
        """
        if submission.webhook_url is not None:
            self._webhook_targets.require_url(submission.webhook_url)
        if submission.idempotency_key is not None:
            replay = await self._database.run_read(
                lambda conn: lifecycle.find_replay(conn, submission, now=self._clock())
            )
            if replay is not None:
                return replay
        require_usable(self._engine.status())
        safety = await self._check_prompt(submission)
        submission = await self._check_webhook_host(submission)
        writing = asyncio.create_task(self._write_and_enqueue(submission, safety))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await self._withdraw(writing)
            raise

    async def subscribe(
        self, job_id: str, *, account_id: str, hand_out: bool = False
    ) -> AsyncGenerator[JobEvent, None]:
        """Yield the job's events up to Finished; a late listener first gets the latest step of each image.

        Images come with `hand_out` alone: those that are handed out are charged however the job ends.
        Raises NotFound at the first step for a job of another account.
        """
        given: set[int] = set()
        with self._signals.watching(job_id) as watch:
            while True:
                channel = self._local_jobs.channel(job_id)
                if channel is not None and channel.account_id == account_id:
                    async with aclosing(self._local_events(job_id, channel, hand_out=hand_out, given=given)) as events:
                        async for event in events:
                            yield event
                            if isinstance(event, Finished):
                                return
                watch.woken.clear()
                job = await self.get(job_id, account_id=account_id)
                if job.status.finished:
                    for last in _last_events(job, hand_out=hand_out, given=given):
                        yield last
                    return
                await watch.wait()

    async def _local_events(
        self, job_id: str, channel: JobChannel, *, hand_out: bool, given: set[int]
    ) -> AsyncGenerator[JobEvent, None]:
        """Yield the events of a job of this process; they end without Finished when it is taken from here."""
        async with aclosing(channel.follow()) as events:
            async for event in events:
                if isinstance(event, Finished):
                    for last in _last_events(event.job, hand_out=hand_out, given=given):
                        yield last
                    return
                if isinstance(event, ImageDone):
                    if not hand_out or not await self._outcomes.hand_out(job_id, event):
                        continue
                    given.add(event.image.image_index)
                yield event

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

    async def webhook_state(self, job: Job) -> WebhookState | None:
        """Return what became of the job's webhook; None for a job without one."""
        return await self._database.run_read(lambda conn: deliveries.state(conn, job))

    async def cancel(self, job_id: str, *, account_id: str) -> Job:
        """Stop the job within one denoising step and release its hold; a finished job is returned as it is.

        A job that has handed out images is completed by them, and charged for them.
        """
        job = await self.get(job_id, account_id=account_id)
        if job.status.finished:
            return job
        try:
            job = await self._database.run_write(lambda conn: lifecycle.cancel(conn, job_id, now=self._clock()))
        except LostJob:
            return await self.get(job_id, account_id=account_id)
        self._local_jobs.end(job)
        return job

    async def abandon(self, job: Job) -> None:
        """Cancel a job whose caller has left, unless it is over or its result can still be collected."""
        if not job.collectable and self._local_jobs.find(job.id) is not None:
            await self._outcomes.cancel(job)

    async def _close(self) -> None:
        await self._workers.stop()
        # All at once: while the database is away, each by itself would wait for it.
        await asyncio.gather(*(self._outcomes.leave(job) for job in self._local_jobs.all()))
        await self._workers.discard_leftovers()
        await self._heartbeat.stop()
        await self._signals.stop()

    def _learn_end(self, job_id: str) -> None:
        """Stop a job of this process that another one has ended, such as by a cancellation."""
        job = self._local_jobs.find(job_id)
        if job is not None:
            learning = asyncio.create_task(self._learn(job), name=f"job-ended-{job_id}")
            self._learning.add(learning)
            learning.add_done_callback(self._learning.discard)

    async def _learn(self, job: Job) -> None:
        # The next heartbeat sees what an outage hides now.
        with suppress(Overloaded):
            await self._outcomes.learn(job)

    async def _check_prompt(self, submission: Submission) -> dict[str, object]:
        request = submission.request
        switched_off = not request.enable_safety_checker
        verdict = await self._prompt_check.check(
            request.prompt, negative_prompt=request.negative_prompt, essential_only=switched_off
        )
        if not verdict.allowed:
            raise ModerationBlocked(verdict.reason, param="prompt")
        if switched_off:
            return {"enabled": False, "prompt_check": CHECK_IS_OFF}
        return {"enabled": True, "prompt_check": verdict.checker}

    async def _check_webhook_host(self, submission: Submission) -> Submission:
        if submission.webhook_url is None:
            return submission
        warning = await self._webhook_targets.require_host(submission.webhook_url)
        return submission if warning is None else replace(submission, warnings=(*submission.warnings, warning))

    async def _write_and_enqueue(self, submission: Submission, safety: dict[str, object]) -> Job:
        retry_after_seconds = self._local_jobs.retry_after_seconds(num_at_once=self._workers.num_at_once)
        if not self._accepting:
            raise Overloaded(retry_after_seconds=retry_after_seconds)
        with (
            self._local_jobs.queue.slot(submission.account_id, retry_after_seconds=retry_after_seconds),
            self._local_jobs.writing(submission.job_id),
        ):
            try:
                job = await self._database.run_write(lambda conn: self._write(conn, submission, safety))
            except (InsufficientCredits, SpendLimitReached) as refusal:
                await self._keep_refusal(submission, refusal, safety)
                raise
            if not job.replayed:
                self._local_jobs.add(job)
            return job

    def _write(self, conn: Connection, submission: Submission, safety: dict[str, object]) -> Job:
        lease, now = self._lease_terms.lease(), self._clock()
        return lifecycle.submit(
            conn,
            submission,
            price=self._price,
            safety=safety,
            lease=lease,
            max_running=self._max_running_per_key,
            now=now,
        )

    async def _keep_refusal(self, submission: Submission, refusal: ServiceError, safety: dict[str, object]) -> None:
        """Write a refused request for the logs. While the database is away the caller gets the refusal all the same."""
        with suppress(Overloaded):
            await self._database.run_write(
                lambda conn: lifecycle.refuse(
                    conn, submission, refusal, price=self._price, safety=safety, now=self._clock()
                )
            )

    async def _withdraw(self, writing: "asyncio.Task[Job]") -> None:
        await asyncio.wait([writing])
        if writing.exception() is None:
            await self.abandon(writing.result())


def _last_events(job: Job, *, hand_out: bool, given: Collection[int]) -> Iterator[JobEvent]:
    """Yield the images that a listener has not been given yet, if it wants any, and the end."""
    for image in job.images if hand_out else ():
        if image.image_index not in given:
            yield ImageDone(image=image)
    yield Finished(job=job)
