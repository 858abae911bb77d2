"""Signals between the processes of one PostgreSQL database, by LISTEN and NOTIFY on a connection of their own.

A signal may be lost while the connection is: whoever waits for one looks for itself now and then.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection, func, select

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
# A connection that is dead without a word is found out by a statement that it must run.
CHECK_SECONDS = 15.0
RECONNECT_SECONDS = 1.0
MAX_RECONNECT_SECONDS = 30.0


def send(conn: Connection, channel: str, payload: str) -> None:
    """Send a signal when the transaction commits; nothing on SQLite, which has none."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_notify(channel, payload)))


class SignalListener:
    """Calls `on_signal` with the payload of every signal, and `on_change` when the connection comes or goes."""

    def __init__(self, connect_args: dict[str, Any], channel: str) -> None:
        """Prepare; `connect_args` are those of asyncpg."""
        self._connect_args = connect_args
        self._channel = channel
        self._task: asyncio.Task[None] | None = None
        self.connected = False

    def start(self, *, on_signal: Callable[[str], None], on_change: Callable[[], None]) -> None:
        """Connect, and reconnect, until `stop`."""
        self._task = asyncio.create_task(self._listen_for_ever(on_signal, on_change), name="database-signals")

    async def stop(self) -> None:
        """Close the connection."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _listen_for_ever(self, on_signal: Callable[[str], None], on_change: Callable[[], None]) -> None:
        import asyncpg

        wait_seconds = RECONNECT_SECONDS
        while True:
            try:
                connection = await asyncpg.connect(timeout=CONNECT_SECONDS, **self._connect_args)
                try:
                    await connection.add_listener(self._channel, lambda *signal: on_signal(signal[-1]))
                    wait_seconds = RECONNECT_SECONDS
                    self.connected = True
                    on_change()
                    await self._stay(connection)
                finally:
                    self.connected = False
                    connection.terminate()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                logger.warning("signals of the database are lost, polling until they are back: %s", error)
                on_change()
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, MAX_RECONNECT_SECONDS)

    async def _stay(self, connection: Any) -> None:
        """Return when the connection has ended. Raises its error."""
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        while True:
            try:
                async with asyncio.timeout(CHECK_SECONDS):
                    await ended.wait()
                raise ConnectionError("the connection was closed")
            except TimeoutError:
                await connection.execute("SELECT 1", timeout=CONNECT_SECONDS)
