"""The queue of jobs: bounded, fair between accounts, with an estimate of how long a refused caller should wait.

Jobs are ids with an account here. For one event loop; not for several threads.
"""

import asyncio
import bisect
import math
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from danqing.errors import Overloaded, RateLimitExceeded

# Clients give up on a longer Retry-After.
MAX_RETRY_AFTER_SECONDS = 120
# How much the latest job counts in the average duration.
DURATION_WEIGHT = 0.2


class FairQueue:
    """First come, first served within an account; one job of each account in turn between them.

    A job that another process left behind has its place by the time it was created, or processes that die one after the
    other would keep it at the end.

    A slot is reserved before the job is written, so that a full queue refuses before any credits are held.
    """

    def __init__(self, *, max_jobs: int, max_jobs_per_account: int) -> None:
        self._max_jobs = max_jobs
        self._max_jobs_per_account = max_jobs_per_account
        # The account whose turn it is comes first.
        self._waiting: OrderedDict[str, list[tuple[datetime, str]]] = OrderedDict()
        self._reserved: Counter[str] = Counter()
        self._not_empty = asyncio.Event()

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._waiting.values())

    @property
    def num_free(self) -> int:
        """How many more slots can be reserved."""
        return self._max_jobs - len(self) - self._reserved.total()

    @contextmanager
    def slot(self, account_id: str, *, retry_after_seconds: int) -> Iterator[None]:
        """Reserve a slot for the job that is written meanwhile; `put` it before the end.

        Raises RateLimitExceeded when the account has its share already, Overloaded when the queue is full.
        """
        num_own = len(self._waiting.get(account_id, ())) + self._reserved[account_id]
        if num_own >= self._max_jobs_per_account:
            raise RateLimitExceeded(
                f"This account has {num_own} requests waiting, the most it may have.",
                retry_after_seconds=retry_after_seconds,
            )
        if self.num_free <= 0:
            raise Overloaded(retry_after_seconds=retry_after_seconds)
        self._reserved[account_id] += 1
        try:
            yield
        finally:
            self._reserved[account_id] -= 1
            # Accounts come and go; only those with a reserved slot are remembered.
            self._reserved += Counter()

    def put(self, job_id: str, *, account_id: str, created_at: datetime) -> None:
        """Let a job wait, whether or not a slot is free: a job that is written must not be lost."""
        waiting = self._waiting.setdefault(account_id, [])
        bisect.insort(waiting, (created_at, job_id), key=lambda job: job[0])
        self._not_empty.set()

    async def take(self) -> str:
        """Wait for the next job and remove it from the queue."""
        while not self._waiting:
            self._not_empty.clear()
            await self._not_empty.wait()
        account_id, waiting = self._waiting.popitem(last=False)
        _, job_id = waiting.pop(0)
        if waiting:
            self._waiting[account_id] = waiting
        return job_id

    def remove(self, job_id: str, *, account_id: str) -> bool:
        """Take a certain job out; False when it is not waiting."""
        waiting = self._waiting.get(account_id, [])
        others = [(created_at, other) for created_at, other in waiting if other != job_id]
        if len(others) == len(waiting):
            return False
        if others:
            self._waiting[account_id] = others
        else:
            del self._waiting[account_id]
        return True


class WaitEstimate:
    """How long the queue takes, from the durations of the latest jobs."""

    def __init__(self) -> None:
        self._job_seconds = 1.0

    def job_took(self, seconds: float) -> None:
        """Count the time that a job spent in the engine."""
        self._job_seconds += DURATION_WEIGHT * (seconds - self._job_seconds)

    def retry_after_seconds(self, *, num_ahead: int, num_at_once: int) -> int:
        """Return when a caller with so many jobs ahead may hope for a slot, where `num_at_once` of them run."""
        seconds = num_ahead * self._job_seconds / num_at_once
        return max(1, min(MAX_RETRY_AFTER_SECONDS, math.ceil(seconds)))
