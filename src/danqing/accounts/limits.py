"""Limits in this process's memory: a token bucket and a counter of running requests per API key.

They protect the process itself. Limits that an API key has in all, whichever process it reaches, are `shared_limits`.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from danqing.errors import RateLimitExceeded

WINDOW_SECONDS = 60
# Above this many keys in memory, those with a full bucket are forgotten: they lose nothing by it.
MAX_IDLE_KEYS = 10_000
CONCURRENCY_RETRY_SECONDS = 1


@dataclass(frozen=True, kw_only=True)
class RateState:
    """`limit` requests per `window_seconds`; `remaining` now; the whole limit is there again in `reset_seconds`.

    `wait_seconds` is 0 if the request was admitted.
    """

    name: str
    limit: int
    remaining: int
    window_seconds: int
    reset_seconds: int
    wait_seconds: int = 0

    def require_admitted(self) -> None:
        """Raise RateLimitExceeded, with how long to wait, unless the request was admitted."""
        if self.wait_seconds > 0:
            raise RateLimitExceeded(
                f"This API key may make {self.limit} {self.name} a minute.", retry_after_seconds=self.wait_seconds
            )


@dataclass(kw_only=True)
class _Bucket:
    """The requests that one key has left: `level` at `seen_seconds`."""

    level: float
    seen_seconds: float


class KeyRates:
    """The rate of every key seen lately. For one event loop; not for several threads."""

    def __init__(self, *, requests_per_minute: int, monotonic: Callable[[], float], name: str = "requests") -> None:
        """Use the same limit for every key; `monotonic` is a clock in seconds. `name` says what is counted."""
        self._name = name
        self._limit = requests_per_minute
        self._monotonic = monotonic
        self._buckets: dict[str, _Bucket] = {}

    def take(self, api_key_id: str) -> RateState:
        """Count one request, if it is admitted."""
        bucket = self._refilled(api_key_id)
        if bucket.level < 1:
            return self._state(bucket, wait_seconds=math.ceil((1 - bucket.level) * WINDOW_SECONDS / self._limit))
        bucket.level -= 1
        return self._state(bucket)

    def _refilled(self, api_key_id: str) -> _Bucket:
        now_seconds = self._monotonic()
        bucket = self._buckets.get(api_key_id)
        if bucket is None:
            self._forget_idle(now_seconds)
            bucket = self._buckets[api_key_id] = _Bucket(level=self._limit, seen_seconds=now_seconds)
        bucket.level = self._level(bucket, now_seconds)
        bucket.seen_seconds = now_seconds
        return bucket

    def _level(self, bucket: _Bucket, now_seconds: float) -> float:
        gained = (now_seconds - bucket.seen_seconds) * self._limit / WINDOW_SECONDS
        return min(float(self._limit), bucket.level + gained)

    def _forget_idle(self, now_seconds: float) -> None:
        if len(self._buckets) < MAX_IDLE_KEYS:
            return
        for api_key_id, bucket in list(self._buckets.items()):
            if self._level(bucket, now_seconds) >= self._limit:
                del self._buckets[api_key_id]

    def _state(self, bucket: _Bucket, *, wait_seconds: int = 0) -> RateState:
        return RateState(
            name=self._name,
            limit=self._limit,
            remaining=int(bucket.level),
            window_seconds=WINDOW_SECONDS,
            reset_seconds=math.ceil((self._limit - bucket.level) * WINDOW_SECONDS / self._limit),
            wait_seconds=wait_seconds,
        )


class RunningRequests:
    """How many requests of each key run in this process. For one event loop; not for several threads."""

    def __init__(self, *, max_per_key: int, name: str = "requests") -> None:
        """Use the same limit for every key. `name` says what is counted."""
        self._name = name
        self._max_per_key = max_per_key
        self._num_running: Counter[str] = Counter()

    @contextmanager
    def running(self, api_key_id: str) -> Iterator[None]:
        """Count one request as running. Raises RateLimitExceeded when the key has too many already."""
        if self._num_running[api_key_id] >= self._max_per_key:
            raise too_many_at_once(self._max_per_key, self._name)
        self._num_running[api_key_id] += 1
        try:
            yield
        finally:
            self._num_running[api_key_id] -= 1
            if not self._num_running[api_key_id]:
                del self._num_running[api_key_id]


def too_many_at_once(limit: int, name: str) -> RateLimitExceeded:
    """Return the error of a key that has `limit` requests running already."""
    return RateLimitExceeded(
        f"This API key may run {limit} {name} at once.", retry_after_seconds=CONCURRENCY_RETRY_SECONDS
    )
