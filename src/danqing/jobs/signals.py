"""Signals that a job has ended, for callers who wait for a job that another process works on.

On PostgreSQL the database sends them; on SQLite, and while its connection is lost, callers poll. For one event loop.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlalchemy import Connection

from danqing import database_signals
from danqing.database_signals import SignalListener

CHANNEL = "danqing_job_ended"
# How often to look at a job that another process works on: without signals, and with them, in case one is lost.
POLL_SECONDS = 0.5
SIGNALLED_POLL_SECONDS = 10.0


def send_ended(conn: Connection, job_id: str) -> None:
    """Tell every process, when the transaction commits, that a job has ended."""
    database_signals.send(conn, CHANNEL, job_id)


class Watch:
    """One caller's wait for a job."""

    def __init__(self, signals: "JobSignals") -> None:
        self._signals = signals
        self.woken = asyncio.Event()

    async def wait(self) -> None:
        """Return when it is time to look at the job."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._signals.poll_seconds):
                await self.woken.wait()


class JobSignals:
    """Wakes those who watch a job when it has ended."""

    def __init__(self, listener: SignalListener | None) -> None:
        """Without a `listener`, watchers poll."""
        self._listener = listener
        self._watches: dict[str, set[Watch]] = {}

    @property
    def poll_seconds(self) -> float:
        """How long a watcher waits for a signal before it looks for itself."""
        return SIGNALLED_POLL_SECONDS if self._listener is not None and self._listener.connected else POLL_SECONDS

    def start(self, on_ended: Callable[[str], None]) -> None:
        """Listen; `on_ended` is called with every job that has ended in any process."""

        def signalled(job_id: str) -> None:
            on_ended(job_id)
            self._wake(job_id)

        if self._listener is not None:
            self._listener.start(on_signal=signalled, on_change=self._wake_all)

    async def stop(self) -> None:
        """Stop to listen."""
        if self._listener is not None:
            await self._listener.stop()

    @contextmanager
    def watching(self, job_id: str) -> Iterator[Watch]:
        """Watch a job. Clear `woken` before each look at it, so that no end is missed between look and wait."""
        watch = Watch(self)
        self._watches.setdefault(job_id, set()).add(watch)
        try:
            yield watch
        finally:
            self._watches[job_id].discard(watch)
            if not self._watches[job_id]:
                del self._watches[job_id]

    def _wake(self, job_id: str) -> None:
        for watch in self._watches.get(job_id, ()):
            watch.woken.set()

    def _wake_all(self) -> None:
        for job_id in self._watches:
            self._wake(job_id)
