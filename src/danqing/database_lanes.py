"""Lanes of the database: the threads that run its transactions, and what callers get during an outage.

A caller never waits long for a database that is away: it gets Overloaded within seconds, and its transaction is rolled
back if it should still come through. An outage is logged once, with its reason.
"""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from danqing.database_problems import PRIMARY_CODE
from danqing.errors import Overloaded

logger = logging.getLogger(__name__)

# How long a transaction may take before the database counts as away, and while it does.
TRANSACTION_SECONDS = 10.0
OUTAGE_TRANSACTION_SECONDS = 3.0
# How often a caller looks whether waiting is still worth it.
LOOK_SECONDS = 1.0
# An outage is over when transactions have worked for so long: a full disk still takes a small one now and then.
SETTLE_SECONDS = 5.0
OUTAGE_RETRY_SECONDS = 30

# What a caller can only wait for. SQLite: locked all the time, no room, a file that cannot be opened, read or written.
SQLITE_OUTAGES = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
)
# The same in PostgreSQL's codes: connection, resources, operator, system; a standby, a lock, a login, no such database.
POSTGRESQL_OUTAGES = ("08", "53", "57", "58", "25006", "55P03", "28", "3D")

Result = TypeVar("Result")
Work = Callable[[Connection], Result]
Transaction = Callable[[], AbstractContextManager[Connection]]


class OutageLog:
    """Logs when the database cannot be used and when it can be used again, once each. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failing: set[str] = set()

    def failed(self, lane: str, reason: str) -> None:
        """Note a failure of a lane."""
        with self._lock:
            if not self._failing:
                logger.error("the database cannot be used: %s", reason)
            self._failing.add(lane)

    def worked(self, lane: str) -> None:
        """Note that a lane works again."""
        with self._lock:
            if lane in self._failing:
                self._failing.remove(lane)
                if not self._failing:
                    logger.warning("the database can be used again")


class _GivenUp(Exception):
    """The caller no longer waits for the transaction, so it must not be committed."""


class _Call(Generic[Result]):
    """One transaction on its way through a lane."""

    def __init__(self, work: Work[Result], transaction: Transaction) -> None:
        self.work = work
        self.transaction = transaction
        self.queued_at = time.monotonic()
        self.started_at: float | None = None
        self._lock = threading.Lock()
        self._committing = False
        self._given_up = False

    def require_caller(self, *, committing: bool) -> None:
        """Raise _GivenUp if the caller has left; when committing, it can no longer leave."""
        with self._lock:
            if self._given_up:
                raise _GivenUp
            self._committing = committing

    def give_up(self) -> bool:
        """Leave the transaction to be rolled back; False when it is being committed."""
        with self._lock:
            self._given_up = not self._committing
            return self._given_up


class Lane:
    """Threads for one kind of transaction: reads or writes."""

    def __init__(self, name: str, *, num_threads: int, outage_log: OutageLog) -> None:
        self._name = name
        self._threads = ThreadPoolExecutor(num_threads, thread_name_prefix=f"database-{name}")
        self._outage_log = outage_log
        self._failed_at = float("-inf")
        self._failing = False

    async def run(self, work: Work[Result], *, transaction: Transaction) -> Result:
        """Run `work` in a transaction. Raises Overloaded when the database is away.

        A cancelled caller still waits for the transaction, so it knows whether the transaction committed.
        """
        call = _Call(work, transaction)
        waiting = asyncio.create_task(self._wait(asyncio.wrap_future(self._threads.submit(self._transact, call)), call))
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            # Returning now would let the caller clean up while the transaction still runs.
            await asyncio.wait([waiting])
            _retrieve(waiting)
            raise

    def require_settled(self) -> None:
        """Raise Overloaded while an outage is not over."""
        if self._failing:
            raise _overloaded()

    def close(self) -> None:
        """Finish running transactions."""
        self._threads.shutdown()

    async def _wait(self, future: "asyncio.Future[Result]", call: _Call[Result]) -> Result:
        while True:
            await asyncio.wait([future], timeout=LOOK_SECONDS)
            if future.done():
                return future.result()
            if self._is_hopeless(call) and call.give_up():
                future.add_done_callback(_retrieve)
                raise _overloaded()

    def _is_hopeless(self, call: _Call[Result]) -> bool:
        now = time.monotonic()
        limit_seconds = OUTAGE_TRANSACTION_SECONDS if self._failing else TRANSACTION_SECONDS
        if call.started_at is None:
            # It waits behind one that failed after it came, or for threads that an outage holds.
            return self._failed_at > call.queued_at or (self._failing and now - call.queued_at > limit_seconds)
        if now - call.started_at <= limit_seconds:
            return False
        self._fail(f"a transaction took over {limit_seconds:g} s")
        return True

    def _transact(self, call: _Call[Result]) -> Result:
        call.require_caller(committing=False)
        call.started_at = time.monotonic()
        if self._failed_at > call.queued_at:
            # It waited behind one that failed, and would fail as slowly.
            raise _overloaded()
        try:
            with call.transaction() as conn:
                result = call.work(conn)
                call.require_caller(committing=True)
        except (SQLAlchemyError, OSError) as error:
            if not is_outage(error):
                raise
            self._fail(_reason(error))
            raise _overloaded() from error
        self._succeed()
        return result

    def _fail(self, reason: str) -> None:
        self._failed_at, self._failing = time.monotonic(), True
        self._outage_log.failed(self._name, reason)

    def _succeed(self) -> None:
        if self._failing and time.monotonic() - self._failed_at >= SETTLE_SECONDS:
            self._failing = False
            self._outage_log.worked(self._name)


def is_outage(error: SQLAlchemyError | OSError) -> bool:
    """Say whether an error means that the database is away, and no mistake of ours."""
    if isinstance(error, OSError):
        return True
    if not isinstance(error, DBAPIError):
        return isinstance(error, NoConnectionFree)
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        # The low byte is the kind of error. Errors of the driver itself have no code.
        return getattr(cause, "sqlite_errorcode", 0) & PRIMARY_CODE in SQLITE_OUTAGES
    fields = cause.args[0] if cause is not None and cause.args else None
    if isinstance(fields, dict):
        return str(fields.get("C", "")).startswith(POSTGRESQL_OUTAGES)
    # Errors without server fields are about the connection.
    return isinstance(error, InterfaceError)


def _reason(error: SQLAlchemyError | OSError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    fields = cause.args[0] if cause is not None and cause.args else None
    return str(fields.get("M") if isinstance(fields, dict) else cause)


def _overloaded() -> Overloaded:
    message = "The database cannot be reached or has no room; try again later."
    return Overloaded(message, retry_after_seconds=OUTAGE_RETRY_SECONDS)


def _retrieve(future: "asyncio.Future[Result]") -> None:
    # So that asyncio does not log its exception as never retrieved.
    if not future.cancelled():
        future.exception()
