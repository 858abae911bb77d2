"""The unfinished jobs of this process, in memory: their records, their queue, their listeners, their runs.

The database has the last word on all of them. For one event loop; not for several threads.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from danqing.errors import ServiceError
from danqing.jobs.events import JobChannel
from danqing.jobs.job import Finished, Job, JobResult
from danqing.jobs.limits import JobLimits
from danqing.jobs.ports import JobObserver
from danqing.jobs.queue import FairQueue, WaitEstimate

Run = asyncio.Task[JobResult]


class LocalJobs:
    """Every job from the moment it is written for this process until it ends or another process takes it over."""

    def __init__(self, *, limits: JobLimits, observer: JobObserver) -> None:
        self.queue = FairQueue(max_jobs=limits.max_queued_jobs, max_jobs_per_account=limits.max_queued_jobs_per_account)
        self.estimate = WaitEstimate()
        self._observer = observer
        self._being_written: set[str] = set()
        self._jobs: dict[str, Job] = {}
        self._channels: dict[str, JobChannel] = {}
        self._runs: dict[str, Run] = {}
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def num_running(self) -> int:
        """Jobs in the engine."""
        return len(self._runs)

    def retry_after_seconds(self, *, num_at_once: int) -> int:
        """Return when a caller who is turned away now may hope for a slot."""
        num_ahead = len(self.queue) + len(self._runs)
        return self.estimate.retry_after_seconds(num_ahead=num_ahead, num_at_once=num_at_once)

    @property
    def ids(self) -> list[str]:
        """The ids of all jobs, those that are just being written included."""
        return [*self._jobs, *self._being_written]

    def all(self) -> list[Job]:
        """List the jobs as they were last written."""
        return list(self._jobs.values())

    def find(self, job_id: str) -> Job | None:
        """Return a job as it was last written; None when it is not, or no longer, this process's."""
        return self._jobs.get(job_id)

    def channel(self, job_id: str) -> JobChannel | None:
        """Return the channel of a job of this process."""
        return self._channels.get(job_id)

    async def wait_until_empty(self) -> None:
        """Wait until no job is left."""
        await self._empty.wait()

    @contextmanager
    def writing(self, job_id: str) -> Iterator[None]:
        """Count a job as this process's while it is being written, however long that takes."""
        self._being_written.add(job_id)
        self._empty.clear()
        try:
            yield
        finally:
            self._being_written.remove(job_id)
            self._look_whether_empty()

    def add(self, job: Job) -> None:
        """Queue a job that the database says is this process's."""
        self._jobs[job.id] = job
        self._empty.clear()
        self._channels[job.id] = JobChannel(account_id=job.account_id)
        self.queue.put(job.id, account_id=job.account_id, created_at=job.created_at)
        self._observer.job_changed(job)

    def update(self, job: Job) -> None:
        """Remember the new state of a job."""
        self._jobs[job.id] = job
        self._observer.job_changed(job)

    @contextmanager
    def running(self, job_id: str, run: Run) -> Iterator[None]:
        """Count a job as in the engine, and its run as what ends with the job."""
        self._runs[job_id] = run
        began_seconds = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            del self._runs[job_id]
            self.estimate.job_took(asyncio.get_running_loop().time() - began_seconds)

    def end(self, job: Job) -> None:
        """Tell the listeners that a job is over, and stop what still works on it."""
        if job.id in self._jobs:
            self._channels.pop(job.id).publish(Finished(job=job))
            self._observer.job_changed(job)
            self.forget(job.id)

    def interrupt(self, job_id: str, error: ServiceError) -> None:
        """Stop a job that stays here until its outcome can be written; its listeners get the error."""
        job = self._jobs.get(job_id)
        if job is not None:
            self.queue.remove(job_id, account_id=job.account_id)
            self._channels[job_id].abandon(error)
            self._stop_run(job_id)

    def forget(self, job_id: str) -> None:
        """Let go of a job whose outcome is unknown here; its listeners look for it in the database."""
        job = self._jobs.pop(job_id, None)
        if job is not None:
            self.queue.remove(job_id, account_id=job.account_id)
        channel = self._channels.pop(job_id, None)
        if channel is not None:
            channel.abandon()
        self._stop_run(job_id)
        self._look_whether_empty()

    def _stop_run(self, job_id: str) -> None:
        run = self._runs.get(job_id)
        if run is not None:
            run.cancel()

    def _look_whether_empty(self) -> None:
        if not self._jobs and not self._being_written:
            self._empty.set()
