"""Rate limits that are counted once for all processes of a database: one row per API key and limit.

A check is one statement. Its row means nothing any more once the key has its whole limit again, and is then deleted.
Every process uses its own clock, so a clock that is a second off shifts the limit by a second's worth of requests.
"""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from sqlalchemy import Connection

from danqing.accounts import queries
from danqing.accounts.limits import WINDOW_SECONDS, RateState
from danqing.database import Database

CLEAN_UP_SECONDS = 60.0
# Times are floats of seconds since 1970, exact to a quarter of a microsecond.
ROUNDING_SECONDS = 1e-5


class SharedRates(Protocol):
    """A limit per minute and key."""

    async def take(self, api_key_id: str) -> RateState:
        """Count one request, if it is admitted. Raises Overloaded while the database is away."""


class _CountedRates:
    """What both kinds of limit share: the transaction, the clock and the clean-up."""

    def __init__(
        self, database: Database, *, name: str, requests_per_minute: int, clock: Callable[[], datetime]
    ) -> None:
        """Use the same limit for every key. `name` says what is counted."""
        self._database = database
        self._name = name
        self._limit = requests_per_minute
        self._clock = clock
        self._next_clean_up = 0.0

    async def take(self, api_key_id: str) -> RateState:
        """Count one request, if it is admitted. Raises Overloaded while the database is away."""
        now = self._clock().timestamp()

        def work(conn: Connection) -> RateState:
            if now >= self._next_clean_up:
                self._next_clean_up = now + CLEAN_UP_SECONDS
                queries.delete_idle_rates(conn, full_before=now)
            return self._take(conn, api_key_id, now)

        # Lost in a crash of the database's machine, a count costs nothing but a minute of strictness.
        return await self._database.run_write(work, durable=False)

    def _take(self, conn: Connection, api_key_id: str, now: float) -> RateState:
        raise NotImplementedError

    def _state(self, *, remaining: int, reset: float, wait: float = 0) -> RateState:
        return RateState(
            name=self._name,
            limit=self._limit,
            remaining=max(0, remaining),
            window_seconds=WINDOW_SECONDS,
            reset_seconds=max(0, math.ceil(reset - ROUNDING_SECONDS)),
            wait_seconds=math.ceil(wait - ROUNDING_SECONDS),
        )


class BucketRates(_CountedRates):
    """A token bucket: as many requests at once as the limit says, refilled evenly."""

    def _take(self, conn: Connection, api_key_id: str, now: float) -> RateState:
        step = WINDOW_SECONDS / self._limit
        latest = now + WINDOW_SECONDS + ROUNDING_SECONDS
        full_at = queries.take_from_bucket(conn, api_key_id, self._name, now=now, step=step, latest=latest)
        if full_at is not None:
            remaining = int((latest - full_at) / step)
            return self._state(remaining=remaining, reset=full_at - now)
        # The row cannot be idle: the refusal says that it is nearly a minute away from that.
        full_at = queries.find_rate(conn, api_key_id, self._name).full_at
        return self._state(remaining=0, reset=full_at - now, wait=full_at + step - now - WINDOW_SECONDS)


class MinuteRates(_CountedRates):
    """A number of requests in a minute that begins with the first; nothing is refilled before it is over.

    The limit is exact, which suits reports. Drawing takes the bucket, which is smoother.
    """

    def _take(self, conn: Connection, api_key_id: str, now: float) -> RateState:
        end = now + WINDOW_SECONDS
        row = queries.take_from_minute(conn, api_key_id, self._name, now=now, end=end, limit=self._limit)
        if row is not None:
            return self._state(remaining=self._limit - row.num_requests, reset=row.full_at - now)
        end = queries.find_rate(conn, api_key_id, self._name).full_at
        return self._state(remaining=0, reset=end - now, wait=end - now)
