"""Which job is next: a bounded queue that takes turns between accounts. Knows jobs only as ids with an owner.

For one event loop; not for several threads.
"""

import asyncio
from collections import OrderedDict, deque

from danqing.errors import Overloaded, RateLimitExceeded


class FairQueue:
    """First come, first served within an account; one job of each account in turn between them.

    A place is reserved before the job is written, so that a full queue refuses before anything is held.
    """

    def __init__(self, *, max_jobs: int, max_jobs_per_account: int) -> None:
        self._max_jobs = max_jobs
        self._max_jobs_per_account = max_jobs_per_account
        # The account whose turn it is comes first.
        self._waiting: OrderedDict[str, deque[str]] = OrderedDict()
        self._reserved: dict[str, int] = {}
        self._not_empty = asyncio.Event()

    def __len__(self) -> int:
        return sum(len(job_ids) for job_ids in self._waiting.values())

    @property
    def num_free(self) -> int:
        """How many more places can be reserved."""
        return self._max_jobs - len(self) - sum(self._reserved.values())

    def reserve(self, account_id: str, *, retry_after_seconds: int) -> None:
        """Take a place for a job to come.

        Raises RateLimitExceeded when the account has its share already, Overloaded when the queue is full.
        """
        num_own = len(self._waiting.get(account_id, ())) + self._reserved.get(account_id, 0)
        if num_own >= self._max_jobs_per_account:
            raise RateLimitExceeded(
                f"This account has {num_own} requests waiting, the most it may have.",
                retry_after_seconds=retry_after_seconds,
            )
        if self.num_free <= 0:
            raise Overloaded(retry_after_seconds=retry_after_seconds)
        self._reserved[account_id] = self._reserved.get(account_id, 0) + 1

    def give_up(self, account_id: str) -> None:
        """Return a reserved place that no job will take."""
        self._reserved[account_id] -= 1
        if not self._reserved[account_id]:
            del self._reserved[account_id]

    def put(self, job_id: str, *, account_id: str) -> None:
        """Let a job wait. Whoever reserved a place for it gives that up first."""
        self._waiting.setdefault(account_id, deque()).append(job_id)
        self._not_empty.set()

    async def take(self) -> str:
        """Wait for the next job and remove it from the queue."""
        while not self._waiting:
            self._not_empty.clear()
            await self._not_empty.wait()
        account_id, job_ids = self._waiting.popitem(last=False)
        job_id = job_ids.popleft()
        if job_ids:
            self._waiting[account_id] = job_ids
        return job_id

    def remove(self, job_id: str, *, account_id: str) -> bool:
        """Take a certain job out; False when it is not waiting."""
        job_ids = self._waiting.get(account_id)
        if job_ids is None or job_id not in job_ids:
            return False
        job_ids.remove(job_id)
        if not job_ids:
            del self._waiting[account_id]
        return True
