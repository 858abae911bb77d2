"""Outcomes: how the jobs of this process end, written to the database and told to their listeners.

Only one party decides how a job ends: the first to write it. All others learn it from the database. An outcome that
cannot be written because the database is away is postponed until it can.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from sqlalchemy import Connection

from danqing.database import Database
from danqing.errors import Overloaded, ServiceError
from danqing.jobs import lifecycle
from danqing.jobs.job import ImageDone, Job, JobResult
from danqing.jobs.lifecycle import LostJob
from danqing.jobs.local_jobs import LocalJobs

SHUTDOWN_RETRY_SECONDS = 5

Write = Callable[[Connection], Job]


class Outcomes:
    """Ends jobs on behalf of one lease owner."""

    def __init__(
        self, database: Database, *, local_jobs: LocalJobs, lease_owner: str, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._local_jobs = local_jobs
        self._lease_owner = lease_owner
        self._clock = clock
        # What an outage of the database keeps from being written.
        self._postponed: dict[str, tuple[Job, Write]] = {}

    async def succeed(self, job: Job, result: JobResult) -> None:
        """Complete a job, unless it was ended or taken over meanwhile."""

        def write(conn: Connection) -> Job:
            return lifecycle.succeed(conn, job, result, lease_owner=self._lease_owner, now=self._clock())

        try:
            await self._write(job, write)
        except Overloaded as outage:
            # A caller who waits is not charged for a result that comes too late; others collect it afterwards.
            self.postpone(job, write if job.collectable else self._failure(job, outage), error=outage)

    async def fail(self, job: Job, error: ServiceError) -> None:
        """End a job with an error, unless it was ended or taken over meanwhile."""
        write = self._failure(job, error)
        try:
            await self._write(job, write)
        except Overloaded:
            self.postpone(job, write, error=error)

    async def cancel(self, job: Job) -> None:
        """End a job whose caller has left, unless it was ended or taken over meanwhile."""

        def write(conn: Connection) -> Job:
            return lifecycle.cancel(conn, job.id, now=self._clock())

        try:
            await self._write(job, write)
        except Overloaded as outage:
            self.postpone(job, write, error=outage)

    async def leave(self, job: Job) -> None:
        """Give up a job at the end of this process: another one takes it over if its result can still be collected."""
        if not job.collectable:
            message = "The server is shutting down; try again."
            await self.fail(job, Overloaded(message, retry_after_seconds=SHUTDOWN_RETRY_SECONDS))
            return
        with suppress(Overloaded):
            await self._write(job, self._hand_back(job))

    def is_postponed(self, job_id: str) -> bool:
        """Say whether the outcome of a job is still to be written."""
        return job_id in self._postponed

    def give_up(self, job: Job, outage: Overloaded) -> None:
        """Let go of a job that the database did not let begin: as soon as it can be written, it fails or is retried."""
        write = self._hand_back(job) if job.collectable else self._failure(job, outage)
        self.postpone(job, write, error=outage)

    def postpone(self, job: Job, write: Write, *, error: ServiceError) -> None:
        """Write an outcome later, and tell the listeners now what keeps the job from them."""
        self._postponed[job.id] = (job, write)
        self._local_jobs.interrupt(job.id, error)

    async def write_postponed(self) -> None:
        """Write the outcomes that an outage postponed. Raises Overloaded while it lasts."""
        for job_id, (job, write) in list(self._postponed.items()):
            await self._write(job, write)
            del self._postponed[job_id]

    async def hand_out(self, job_id: str, event: ImageDone) -> bool:
        """Note that an image is handed out before its job's end; False when the job has ended without it."""
        image, so_far = event.image, event.so_far
        assert so_far is not None, f"an image of the unfinished job {job_id} without its result so far"
        try:
            await self._database.run_write(
                lambda conn: lifecycle.hand_out(conn, job_id, image, so_far=so_far, lease_owner=self._lease_owner)
            )
        except LostJob:
            return False
        return True

    async def learn(self, job: Job) -> None:
        """Read what became of a job that was moved elsewhere."""
        self._close(await self._database.run_read(lambda conn: lifecycle.get(conn, job.id)))

    async def _write(self, job: Job, write: Write) -> None:
        try:
            self._close(await self._database.run_write(write))
        except LostJob:
            await self.learn(job)

    def _close(self, present: Job) -> None:
        """End a job here if it is over, else forget it: another process has it, or will."""
        if present.status.finished:
            self._local_jobs.end(present)
        else:
            self._local_jobs.forget(present.id)

    def _failure(self, job: Job, error: ServiceError) -> Write:
        return lambda conn: lifecycle.fail(conn, job, error, lease_owner=self._lease_owner, now=self._clock())

    def _hand_back(self, job: Job) -> Write:
        return lambda conn: lifecycle.hand_back(conn, job, lease_owner=self._lease_owner, now=self._clock())
