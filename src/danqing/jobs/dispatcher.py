"""The jobs of this process, from submission to their end: queue, workers, leases. Knows nothing of who asks for them.

Only one party decides how a job ends: the first to write it into the database. Everybody else learns it from there.
"""

import asyncio
import contextlib
import logging
import math
import secrets
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from danqing.database import Database
from danqing.engine.interface import EngineState
from danqing.errors import GenerationTimeout, Overloaded, ServiceError
from danqing.jobs import lifecycle, queries
from danqing.jobs.events import JobChannel
from danqing.jobs.job import Finished, Job, JobStatus
from danqing.jobs.lifecycle import Drawing, Lease, LostJob
from danqing.jobs.limits import JobLimits
from danqing.jobs.ports import JobParts
from danqing.jobs.queue import FairQueue
from danqing.jobs.runner import JobRunner
from danqing.telemetry import inference_id_of_request

logger = logging.getLogger(__name__)

HEARTBEATS_PER_LEASE = 3
ENGINE_POLL_SECONDS = 0.05
DRAIN_POLL_SECONDS = 0.02
SHUTDOWN_RETRY_SECONDS = 5
# Clients give up on a longer Retry-After.
MAX_RETRY_AFTER_SECONDS = 120
# How much the latest job counts in the average that Retry-After is made from.
DURATION_WEIGHT = 0.2


class Dispatcher:
    """Runs the jobs that this process has taken on."""

    def __init__(
        self, database: Database, *, parts: JobParts, limits: JobLimits, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._parts = parts
        self._limits = limits
        self._clock = clock
        self._owner = secrets.token_hex(8)
        self.queue = FairQueue(max_jobs=limits.max_queued_jobs, max_jobs_per_account=limits.max_queued_jobs_per_account)
        # Jobs on their way into the database; then every job until it ends, its channel, and the running drawings.
        self._being_written: set[str] = set()
        self._jobs: dict[str, Job] = {}
        self._channels: dict[str, JobChannel] = {}
        self._drawings: dict[str, asyncio.Task[Drawing]] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._heart: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None
        self._job_seconds = 1.0
        self.accepting = False

    @property
    def num_running(self) -> int:
        """Jobs in the engine."""
        return len(self._drawings)

    @property
    def retry_after_seconds(self) -> int:
        """When a caller who is turned away now may hope for a place."""
        num_ahead = len(self.queue) + len(self._drawings)
        seconds = num_ahead * self._job_seconds / self._limits.max_concurrent_jobs
        return max(1, min(MAX_RETRY_AFTER_SECONDS, math.ceil(seconds)))

    def lease(self) -> Lease:
        """A lease for this process that begins now."""
        return Lease(owner=self._owner, expires_at=self._clock() + timedelta(seconds=self._limits.lease_seconds))

    def channel(self, job_id: str) -> JobChannel | None:
        """The channel of an unfinished job of this process."""
        return self._channels.get(job_id)

    async def start(self) -> None:
        """Take over what a former process left behind and begin to work."""
        await self._recover()
        self.accepting = True
        self._heart = asyncio.create_task(self._beat(), name="jobs-heartbeat")
        self._workers = [
            asyncio.create_task(self._work(), name=f"jobs-worker-{index}")
            for index in range(self._limits.max_concurrent_jobs)
        ]

    async def drain(self, timeout_seconds: float) -> None:
        """Let the present jobs finish, and settle or hand back what does not make it in time.

        Whoever asks again waits for the same drain.
        """
        self.accepting = False
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain(timeout_seconds), name="jobs-drain")
        await asyncio.shield(self._draining)

    async def _drain(self, timeout_seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while self._jobs or self._being_written:
                    await asyncio.sleep(DRAIN_POLL_SECONDS)
        await _stop(*self._workers, *self._drawings.values())
        for job in list(self._jobs.values()):
            await self._leave(job)
        if self._heart is not None:
            await _stop(self._heart)

    @contextlib.contextmanager
    def writing(self, job_id: str) -> Iterator[None]:
        """From before a job is in the database until it is enqueued: it is ours, however long that takes."""
        self._being_written.add(job_id)
        try:
            yield
        finally:
            self._being_written.remove(job_id)

    def enqueue(self, job: Job) -> None:
        """Take on a job that the database says is ours; its place in the queue is reserved."""
        self.queue.give_up(job.account_id)
        self._take_on(job)

    def end(self, job: Job) -> None:
        """Tell everybody that a job of ours is over, and stop what still works on it."""
        if job.id not in self._jobs:
            return
        self._channels.pop(job.id).publish(Finished(job=job))
        self._parts.observer.job_changed(job)
        self._forget(job.id)

    def _take_on(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._channels[job.id] = JobChannel(account_id=job.account_id)
        self.queue.put(job.id, account_id=job.account_id)
        self._parts.observer.job_changed(job)

    def _forget(self, job_id: str) -> None:
        job = self._jobs.pop(job_id, None)
        if job is not None:
            self.queue.remove(job_id, account_id=job.account_id)
        channel = self._channels.pop(job_id, None)
        if channel is not None:
            channel.abandon()
        drawing = self._drawings.get(job_id)
        if drawing is not None:
            drawing.cancel()

    async def _work(self) -> None:
        while True:
            while self._parts.engine.status().state in (EngineState.STARTING, EngineState.RESTARTING):
                await asyncio.sleep(ENGINE_POLL_SECONDS)
            job_id = await self.queue.take()
            job = self._jobs[job_id]
            try:
                await self._run(job)
            except Exception:
                # The database failed: the job stays as it is there until its lease runs out.
                logger.exception("job %s could not be concluded", job_id)
                self._forget(job_id)

    async def _run(self, job: Job) -> None:
        try:
            started = await self._database.run_write(
                lambda conn: lifecycle.start(conn, job, lease=self.lease(), now=self._clock())
            )
        except LostJob:
            await self._follow_loss(job)
            return
        if job.id not in self._jobs:
            return  # It was cancelled as soon as it was started.
        self._jobs[job.id] = started
        self._parts.observer.job_changed(started)
        runner = JobRunner(started, parts=self._parts, publish=self._channels[job.id].publish)
        drawing = asyncio.create_task(self._draw(job.id, runner), name=f"job-{job.id}")
        self._drawings[job.id] = drawing
        began_seconds = asyncio.get_running_loop().time()
        try:
            await asyncio.wait([drawing])
            await self._conclude(started, runner, drawing)
        finally:
            del self._drawings[job.id]
        seconds = asyncio.get_running_loop().time() - began_seconds
        self._job_seconds += DURATION_WEIGHT * (seconds - self._job_seconds)

    async def _draw(self, job_id: str, runner: JobRunner) -> Drawing:
        # This task's own context, so that its log lines name the job.
        inference_id_of_request.set(job_id)
        limit_seconds = self._limits.job_time_limit_seconds
        try:
            async with asyncio.timeout(limit_seconds) as time_limit:
                return await runner.draw()
        except TimeoutError:
            if time_limit.expired():
                raise GenerationTimeout(f"The generation ran over its time limit of {limit_seconds:g} s.") from None
            raise

    async def _conclude(self, job: Job, runner: JobRunner, drawing: asyncio.Task[Drawing]) -> None:
        if drawing.cancelled():
            return  # Whoever cancelled it has decided what becomes of the job.
        error = drawing.exception()
        if error is not None:
            await self._fail(job, _service_error(job, error))
            return
        result = drawing.result()
        try:
            finished = await self._database.run_write(
                lambda conn: lifecycle.succeed(conn, job, result, lease_owner=self._owner, now=self._clock())
            )
        except LostJob:
            await runner.discard()
            await self._follow_loss(job)
            return
        self.end(finished)

    async def _fail(self, job: Job, error: ServiceError) -> None:
        try:
            finished = await self._database.run_write(
                lambda conn: lifecycle.fail(conn, job, error, lease_owner=self._owner, now=self._clock())
            )
        except LostJob:
            await self._follow_loss(job)
            return
        self.end(finished)

    async def _leave(self, job: Job) -> None:
        """Settle or hand back a job that this process will not finish."""
        if not job.collectable:
            message = "The server is shutting down; try again."
            await self._fail(job, Overloaded(message, retry_after_seconds=SHUTDOWN_RETRY_SECONDS))
            return
        with contextlib.suppress(LostJob):
            await self._database.run_write(
                lambda conn: lifecycle.hand_back(conn, job, lease_owner=self._owner, now=self._clock())
            )
        await self._follow_loss(job)

    async def _follow_loss(self, job: Job) -> None:
        """Our job was moved elsewhere: tell its end if it is over, else let the listeners look for themselves."""
        present = await self._database.run_read(lambda conn: lifecycle.get(conn, job.id))
        if present.status.finished:
            self.end(present)
        else:
            self._forget(job.id)

    async def _beat(self) -> None:
        """Renew our leases, end what waited too long, take over what others lost."""
        while True:
            await asyncio.sleep(self._limits.lease_seconds / HEARTBEATS_PER_LEASE)
            try:
                await self._renew()
                await self._end_overdue()
                if self.accepting:
                    await self._recover()
            except Exception:
                logger.exception("the heartbeat of the jobs failed; it goes on")

    async def _renew(self) -> None:
        before = list(self._jobs.values())
        lease = self.lease()
        ours = await self._database.run_write(
            lambda conn: queries.renew_leases(
                conn,
                [job.id for job in before],
                lease_owner=lease.owner,
                lease_expires_at=lease.expires_at,
            )
        )
        for job in before:
            # A job that ended in these moments is not among them either, but it is not ours any more.
            if job.id not in ours and job.id in self._jobs:
                await self._follow_loss(job)

    async def _end_overdue(self) -> None:
        limit_seconds = self._limits.max_queue_seconds
        oldest = self._clock() - timedelta(seconds=limit_seconds)
        for job in list(self._jobs.values()):
            if job.status is JobStatus.QUEUED and job.created_at < oldest:
                await self._fail(job, GenerationTimeout(f"The job waited over {limit_seconds:g} s in the queue."))

    async def _recover(self) -> None:
        limit = max(0, self.queue.num_free)
        now = self._clock()
        # On a machine that stalls, leases of ours may run out before they are renewed; we are alive all the same.
        at_work = [*self._jobs, *self._being_written]
        recovered = await self._database.run_write(
            lambda conn: lifecycle.recover(conn, lease=self.lease(), at_work=at_work, now=now, limit=limit)
        )
        for job in recovered.requeued:
            self._take_on(job)
        for job in recovered.failed:
            self._parts.observer.job_changed(job)


def _service_error(job: Job, error: BaseException) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    logger.error("job %s failed for a reason of ours", job.id, exc_info=error)
    return ServiceError()


async def _stop(*tasks: "asyncio.Task[None] | asyncio.Task[Drawing]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
