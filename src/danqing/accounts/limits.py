"""Rate limits: a token bucket and a counter of running requests per API key, in this process's memory."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from danqing.errors import RateLimitExceeded

WINDOW_SECONDS = 60
# Above this many keys in memory, those with a full bucket and nothing running are forgotten: they lose nothing by it.
MAX_IDLE_KEYS = 10_000
CONCURRENCY_RETRY_SECONDS = 1


@dataclass(frozen=True, kw_only=True)
class RateState:
    """`limit` requests per `window_seconds`; `remaining` now; the bucket is full again in `reset_seconds`."""

    name: str
    limit: int
    remaining: int
    window_seconds: int
    reset_seconds: int


@dataclass(kw_only=True)
class _KeyUse:
    """What one key has left: `level` requests at `seen_seconds`, and how many run now."""

    level: float
    seen_seconds: float
    num_running: int = 0


class KeyLimits:
    """Rate and concurrency of every key seen lately. For one event loop; not for several threads."""

    def __init__(
        self,
        *,
        requests_per_minute: int,
        max_concurrent_requests: int,
        monotonic: Callable[[], float],
        name: str = "requests",
    ) -> None:
        """Use the same two limits for every key; `monotonic` is a clock in seconds. `name` says what is counted."""
        self._name = name
        self._limit = requests_per_minute
        self._max_concurrent_requests = max_concurrent_requests
        self._monotonic = monotonic
        self._uses: dict[str, _KeyUse] = {}

    def take(self, api_key_id: str) -> RateState:
        """Count one request. Raises RateLimitExceeded, with how long to wait."""
        use = self._refilled(api_key_id)
        if use.level < 1:
            seconds_to_next = math.ceil((1 - use.level) * WINDOW_SECONDS / self._limit)
            raise RateLimitExceeded(
                f"This API key may make {self._limit} {self._name} a minute.", retry_after_seconds=seconds_to_next
            )
        use.level -= 1
        return self._state(use)

    def peek(self, api_key_id: str) -> RateState:
        """Return the state of the key without counting, for the headers of a refusal."""
        return self._state(self._refilled(api_key_id))

    @contextmanager
    def running(self, api_key_id: str) -> Iterator[None]:
        """Count one request as running. Raises RateLimitExceeded when the key has too many already."""
        use = self._refilled(api_key_id)
        if use.num_running >= self._max_concurrent_requests:
            raise RateLimitExceeded(
                f"This API key may run {self._max_concurrent_requests} {self._name} at once.",
                retry_after_seconds=CONCURRENCY_RETRY_SECONDS,
            )
        use.num_running += 1
        try:
            yield
        finally:
            use.num_running -= 1

    def _refilled(self, api_key_id: str) -> _KeyUse:
        now_seconds = self._monotonic()
        use = self._uses.get(api_key_id)
        if use is None:
            self._forget_idle(now_seconds)
            use = self._uses[api_key_id] = _KeyUse(level=self._limit, seen_seconds=now_seconds)
        use.level = self._level(use, now_seconds)
        use.seen_seconds = now_seconds
        return use

    def _level(self, use: _KeyUse, now_seconds: float) -> float:
        gained = (now_seconds - use.seen_seconds) * self._limit / WINDOW_SECONDS
        return min(float(self._limit), use.level + gained)

    def _forget_idle(self, now_seconds: float) -> None:
        if len(self._uses) < MAX_IDLE_KEYS:
            return
        for api_key_id, use in list(self._uses.items()):
            if use.num_running == 0 and self._level(use, now_seconds) >= self._limit:
                del self._uses[api_key_id]

    def _state(self, use: _KeyUse) -> RateState:
        return RateState(
            name=self._name,
            limit=self._limit,
            remaining=int(use.level),
            window_seconds=WINDOW_SECONDS,
            reset_seconds=math.ceil((self._limit - use.level) * WINDOW_SECONDS / self._limit),
        )
