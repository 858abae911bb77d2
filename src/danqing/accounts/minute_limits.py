"""Minute limits: so many requests of each API key in a minute that begins with the first, in this process's memory.

Unlike the token bucket of `limits`, nothing is refilled before the minute is over: the limit is exact, which suits
reports. Drawing takes the bucket, which is smoother.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from danqing.accounts.limits import MAX_IDLE_KEYS, WINDOW_SECONDS, RateState
from danqing.errors import RateLimitExceeded


@dataclass(kw_only=True)
class _Minute:
    """How many requests one key has made in the minute that ends at `end_seconds`."""

    end_seconds: float
    num_requests: int = 0


class MinuteLimits:
    """The present minute of every key seen lately. For one event loop; not for several threads."""

    def __init__(self, *, requests_per_minute: int, monotonic: Callable[[], float], name: str) -> None:
        """Use the same limit for every key; `monotonic` is a clock in seconds. `name` says what is counted."""
        self._name = name
        self._limit = requests_per_minute
        self._monotonic = monotonic
        self._minutes: dict[str, _Minute] = {}

    def take(self, api_key_id: str) -> RateState:
        """Count one request. Raises RateLimitExceeded, with how long to wait."""
        minute = self._minute(api_key_id)
        if minute.num_requests >= self._limit:
            raise RateLimitExceeded(
                f"This API key may make {self._limit} {self._name} a minute.",
                retry_after_seconds=self._state(minute).reset_seconds,
            )
        minute.num_requests += 1
        return self._state(minute)

    def peek(self, api_key_id: str) -> RateState:
        """Return the state of the key without counting, for the headers of a refusal."""
        return self._state(self._minute(api_key_id))

    def _minute(self, api_key_id: str) -> _Minute:
        now_seconds = self._monotonic()
        minute = self._minutes.get(api_key_id)
        if minute is None or minute.end_seconds <= now_seconds:
            self._forget_ended(now_seconds)
            minute = self._minutes[api_key_id] = _Minute(end_seconds=now_seconds + WINDOW_SECONDS)
        return minute

    def _forget_ended(self, now_seconds: float) -> None:
        if len(self._minutes) >= MAX_IDLE_KEYS:
            self._minutes = {key: minute for key, minute in self._minutes.items() if minute.end_seconds > now_seconds}

    def _state(self, minute: _Minute) -> RateState:
        return RateState(
            name=self._name,
            limit=self._limit,
            remaining=self._limit - minute.num_requests,
            window_seconds=WINDOW_SECONDS,
            reset_seconds=math.ceil(minute.end_seconds - self._monotonic()),
        )
