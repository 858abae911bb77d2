"""Leases: this process's claim on its jobs, renewed by a heartbeat that also takes over what other processes lost."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from danqing.database import Database
from danqing.errors import GenerationTimeout, Overloaded
from danqing.jobs import lifecycle, queries
from danqing.jobs.job import JobStatus
from danqing.jobs.lifecycle import Lease
from danqing.jobs.limits import JobLimits
from danqing.jobs.local_jobs import LocalJobs
from danqing.jobs.outcomes import Outcomes
from danqing.jobs.ports import JobObserver

logger = logging.getLogger(__name__)

HEARTBEATS_PER_LEASE = 3


class LeaseTerms:
    """Who this process is among the owners of leases, and how long its leases last."""

    def __init__(self, *, lease_seconds: float, clock: Callable[[], datetime]) -> None:
        self.owner = secrets.token_hex(8)
        self._lease_seconds = lease_seconds
        self._clock = clock

    def lease(self) -> Lease:
        """Return a lease that begins now."""
        return Lease(owner=self.owner, expires_at=self._clock() + timedelta(seconds=self._lease_seconds))


class Heartbeat:
    """Renews leases, ends jobs that wait too long or lost their API key, recovers those of processes that are gone."""

    def __init__(
        self,
        database: Database,
        *,
        local_jobs: LocalJobs,
        outcomes: Outcomes,
        lease_terms: LeaseTerms,
        observer: JobObserver,
        limits: JobLimits,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._local_jobs = local_jobs
        self._outcomes = outcomes
        self._lease_terms = lease_terms
        self._observer = observer
        self._limits = limits
        self._clock = clock
        self._loop: asyncio.Task[None] | None = None
        # Off while the process drains: it ends with the jobs that it has.
        self.recovering = True

    async def start(self) -> None:
        """Recover once, then beat until `stop`."""
        await self.recover()
        self._loop = asyncio.create_task(self._beat_forever(), name="jobs-heartbeat")

    async def stop(self) -> None:
        """End; leases that are not renewed run out."""
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop

    async def beat(self) -> None:
        """Do all that a heartbeat does, once. Raises Overloaded while the database is away."""
        await self._outcomes.write_postponed()
        await self.renew()
        await self.end_overdue()
        await self.end_dead_keys()
        if self.recovering:
            await self.recover()

    async def renew(self) -> None:
        """Renew the leases of all jobs here, and let go of those that were ended or taken over elsewhere."""
        before = self._local_jobs.all()
        lease = self._lease_terms.lease()
        renewed = await self._database.run_write(
            lambda conn: queries.renew_leases(
                conn, [job.id for job in before], lease_owner=lease.owner, lease_expires_at=lease.expires_at
            )
        )
        for job in before:
            # A job that ended in these moments was not renewed either, but it is not here any more.
            if job.id not in renewed and self._local_jobs.find(job.id) is not None:
                await self._outcomes.learn(job)

    async def end_overdue(self) -> None:
        """End the jobs that have waited in the queue for too long."""
        limit_seconds = self._limits.max_queue_seconds
        oldest = self._clock() - timedelta(seconds=limit_seconds)
        for job in self._local_jobs.all():
            if job.status is JobStatus.QUEUED and job.created_at < oldest:
                error = GenerationTimeout(f"The job waited over {limit_seconds:g} s in the queue.")
                await self._outcomes.fail(job, error)

    async def end_dead_keys(self) -> None:
        """Cancel the jobs in the queue whose API key was revoked or disabled; running ones are finished."""
        queued = [job.id for job in self._local_jobs.all() if job.status is JobStatus.QUEUED]
        if not queued:
            return
        cancelled = await self._database.run_write(
            lambda conn: lifecycle.cancel_dead_keys(conn, queued, now=self._clock())
        )
        for job in cancelled:
            self._local_jobs.end(job)

    async def recover(self) -> None:
        """Take over, or end, jobs whose owner has not renewed its lease, as many as there are free slots."""
        limit = max(0, self._local_jobs.queue.num_free)
        lease, now = self._lease_terms.lease(), self._clock()
        # On a machine that stalls, our own leases may run out before they are renewed; we are alive all the same.
        at_work = self._local_jobs.ids
        recovered = await self._database.run_write(
            lambda conn: lifecycle.recover(conn, lease=lease, at_work=at_work, now=now, limit=limit)
        )
        for job in recovered.requeued:
            self._local_jobs.add(job)
        for job in recovered.failed:
            self._observer.job_changed(job)

    async def _beat_forever(self) -> None:
        while True:
            await asyncio.sleep(self._limits.lease_seconds / HEARTBEATS_PER_LEASE)
            try:
                await self.beat()
            except Overloaded:
                continue  # The database has logged it.
            except Exception:
                logger.exception("a heartbeat of the jobs failed; the next one follows")
