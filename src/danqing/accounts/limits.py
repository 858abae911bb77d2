"""How often and how much at once a key may ask: a token bucket and a counter per key, in this process's memory.

Knows nothing of headers; returns what they need.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RateState:
    """`limit` requests per `window_seconds`; `remaining` now; the bucket is full again in `reset_seconds`."""

    limit: int
    remaining: int
    window_seconds: int
    reset_seconds: int


class KeyLimits:
    """Rate and concurrency of every key seen lately."""

    def __init__(self, *, requests_per_minute: int, max_concurrent_requests: int, monotonic: Callable[[], float]) -> None:
        """Use the same two limits for every key; `monotonic` is a clock in seconds."""
        raise NotImplementedError

    def take(self, api_key_id: str) -> RateState:
        """Count one request. Raises RateLimitExceeded, with how long to wait."""
        raise NotImplementedError

    def peek(self, api_key_id: str) -> RateState:
        """Say how the key stands without counting, for the headers of a refusal."""
        raise NotImplementedError

    @contextmanager
    def running(self, api_key_id: str) -> Iterator[None]:
        """Count one request as running. Raises RateLimitExceeded when the key has too many already."""
        raise NotImplementedError
