"""Workers: take jobs from the queue and run them, as many at once as the limits allow."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from danqing.database import Database
from danqing.engine.interface import EngineState
from danqing.errors import GenerationTimeout, Overloaded, ServiceError
from danqing.jobs import lifecycle
from danqing.jobs.job import Job, JobResult
from danqing.jobs.leases import LeaseTerms
from danqing.jobs.lifecycle import LostJob
from danqing.jobs.limits import JobLimits
from danqing.jobs.local_jobs import LocalJobs
from danqing.jobs.outcomes import Outcomes
from danqing.jobs.ports import JobParts
from danqing.jobs.runner import JobRunner
from danqing.telemetry import inference_id_of_request

logger = logging.getLogger(__name__)

ENGINE_POLL_SECONDS = 0.05


class Workers:
    """One task for each job that may run at once: `max_concurrent_jobs` for each replica of the model."""

    def __init__(
        self,
        database: Database,
        *,
        local_jobs: LocalJobs,
        outcomes: Outcomes,
        lease_terms: LeaseTerms,
        parts: JobParts,
        limits: JobLimits,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._local_jobs = local_jobs
        self._outcomes = outcomes
        self._lease_terms = lease_terms
        self._parts = parts
        self._limits = limits
        self._clock = clock
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._runners: dict[str, JobRunner] = {}
        self._stopping = False

    def start(self) -> None:
        """Begin to work."""
        self._add_missing()

    async def stop(self) -> None:
        """End the workers and what they run; their jobs stay as they are in the database."""
        self._stopping = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def discard_leftovers(self) -> None:
        """Delete what stopped runs had stored, once the outcome of their jobs is written."""
        for job_id, runner in self._runners.items():
            await self._discard(job_id, runner)

    @property
    def num_at_once(self) -> int:
        """How many jobs may run at once, with the replicas that there are now."""
        return self._limits.max_concurrent_jobs * max(1, self._parts.engine.status().num_replicas)

    def _add_missing(self) -> None:
        for index in range(self.num_at_once):
            if index not in self._tasks and not self._stopping:
                self._tasks[index] = asyncio.create_task(self._work(index), name=f"jobs-worker-{index}")

    async def _work(self, index: int) -> None:
        """Run one job after the other; the worker of a replica that is gone ends after its present one."""
        while index < self.num_at_once:
            while self._parts.engine.status().state in (EngineState.STARTING, EngineState.RESTARTING):
                await asyncio.sleep(ENGINE_POLL_SECONDS)
            job_id = await self._local_jobs.queue.take()
            # There is work, and perhaps more replicas than there were.
            self._add_missing()
            job = self._local_jobs.find(job_id)
            assert job is not None, f"job {job_id} was queued and forgotten"
            try:
                await self._run(job)
            except Exception:
                # The job stays as it is in the database until its lease runs out.
                logger.exception("job %s could not be concluded", job_id)
                self._local_jobs.forget(job_id)
        del self._tasks[index]

    async def _run(self, job: Job) -> None:
        lease = self._lease_terms.lease()
        try:
            started = await self._database.run_write(
                lambda conn: lifecycle.start(conn, job, lease=lease, now=self._clock())
            )
        except LostJob:
            await self._outcomes.learn(job)
            return
        except Overloaded as outage:
            self._outcomes.give_up(job, outage)
            return
        if started.status.finished:
            self._local_jobs.end(started)
            return
        channel = self._local_jobs.channel(job.id)
        if channel is None:
            return  # It was cancelled as soon as it was started.
        self._local_jobs.update(started)
        runner = JobRunner(started, parts=self._parts, publish=channel.publish)
        run = asyncio.create_task(self._draw(runner, job.id), name=f"job-{job.id}")
        self._runners[job.id] = runner
        with self._local_jobs.running(job.id, run):
            try:
                await asyncio.wait([run])
            finally:
                # A worker that is stopped takes its run with it.
                run.cancel()
                await asyncio.wait([run])
            await self._conclude(started, run)
        await self._discard(job.id, self._runners.pop(job.id))

    async def _draw(self, runner: JobRunner, job_id: str) -> JobResult:
        # This task's own context, so that its log lines name the job.
        inference_id_of_request.set(job_id)
        limit_seconds = self._limits.job_time_limit_seconds
        try:
            async with asyncio.timeout(limit_seconds) as time_limit:
                return await runner.run()
        except TimeoutError:
            if time_limit.expired():
                raise GenerationTimeout(f"The generation ran over its time limit of {limit_seconds:g} s.") from None
            raise

    async def _conclude(self, job: Job, run: asyncio.Task[JobResult]) -> None:
        if run.cancelled():
            return  # The outcome was decided where it was cancelled.
        error = run.exception()
        if error is None:
            await self._outcomes.succeed(job, run.result())
        else:
            await self._outcomes.fail(job, _service_error(job, error))

    async def _discard(self, job_id: str, runner: JobRunner) -> None:
        """Delete the images that were stored and that the job does not name."""
        # What a postponed outcome names is not known yet; the store's clean-up deletes the rest.
        if not runner.has_images or self._outcomes.is_postponed(job_id):
            return
        try:
            present = await self._database.run_read(lambda conn: lifecycle.get(conn, job_id))
        except ServiceError:
            return  # The store's clean-up deletes them when their lifetime is over.
        await runner.discard(keep=present.images)


def _service_error(job: Job, error: BaseException) -> ServiceError:
    if isinstance(error, ServiceError):
        return error
    logger.error("job %s failed for an internal reason", job.id, exc_info=error)
    return ServiceError()
