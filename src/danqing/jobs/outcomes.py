"""Outcomes: how the jobs of this process end, written to the database and told to their listeners.

Only one party decides how a job ends: the first to write it. All others learn it from the database.
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


class Outcomes:
    """Ends jobs on behalf of one lease owner."""

    def __init__(
        self, database: Database, *, local_jobs: LocalJobs, lease_owner: str, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._local_jobs = local_jobs
        self._lease_owner = lease_owner
        self._clock = clock

    async def succeed(self, job: Job, result: JobResult) -> None:
        """Complete a job, unless it was ended or taken over meanwhile."""
        await self._end(
            job,
            lambda conn: lifecycle.succeed(conn, job, result, lease_owner=self._lease_owner, now=self._clock()),
        )

    async def fail(self, job: Job, error: ServiceError) -> None:
        """End a job with an error, unless it was ended or taken over meanwhile."""
        await self._end(
            job, lambda conn: lifecycle.fail(conn, job, error, lease_owner=self._lease_owner, now=self._clock())
        )

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

    async def leave(self, job: Job) -> None:
        """Give up a job at the end of this process: another one takes it over if its result can still be collected."""
        if not job.collectable:
            message = "The server is shutting down; try again."
            await self.fail(job, Overloaded(message, retry_after_seconds=SHUTDOWN_RETRY_SECONDS))
            return
        with suppress(LostJob):
            await self._database.run_write(
                lambda conn: lifecycle.hand_back(conn, job, lease_owner=self._lease_owner, now=self._clock())
            )
        await self.learn(job)

    async def learn(self, job: Job) -> None:
        """Read what became of a job that was moved elsewhere: end it here if it is over, else forget it."""
        present = await self._database.run_read(lambda conn: lifecycle.get(conn, job.id))
        if present.status.finished:
            self._local_jobs.end(present)
        else:
            self._local_jobs.forget(job.id)

    async def _end(self, job: Job, write: Callable[[Connection], Job]) -> None:
        try:
            finished = await self._database.run_write(write)
        except LostJob:
            await self.learn(job)
        else:
            self._local_jobs.end(finished)
