"""HTTP connections within limits: how many there are, how long a head may take, and how long a response stays unread.

uvicorn limits the time between two requests alone. Without these limits, connections that send half a head or read
nothing stay for ever, until the process has no file descriptors left and serves nobody.
"""

import asyncio
import json
import logging
import resource
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from danqing.api.errors import error_body
from danqing.errors import InvalidRequest
from danqing.jobs.job import sample_job_id

HEAD_SECONDS = 10
# Without one byte taken by the client.
UNREAD_SECONDS = 60
# What the kernel holds of a response that the client does not read; by itself it takes megabytes per connection, and a
# thousand clients that read nothing keep the server busy filling them. Linux doubles the number.
SEND_BUFFER_BYTES = 128 * 2**10
LOG_SECONDS = 60
# File descriptors for everything else: databases, files, the engine's process, connections just being accepted.
SPARE_FILES = 512
# asyncio accepts up to so many connections at a time before one of them can be counted.
MAX_BACKLOG = 256

logger = logging.getLogger(__name__)


class Connections:
    """The open connections of a server, and those among them that wait for a request, the oldest first."""

    def __init__(self, *, max_connections: int, monotonic: Callable[[], float]) -> None:
        self._max_connections = max_connections
        self._monotonic = monotonic
        self._open: set[LimitedProtocol] = set()
        self._waiting: dict[LimitedProtocol, None] = {}
        self._closed: Counter[str] = Counter()
        self._logged_seconds: float | None = None

    def add(self, connection: "LimitedProtocol") -> None:
        """Take in a new connection; if there are too many, the one that has waited longest is closed."""
        self._open.add(connection)
        self._waiting[connection] = None
        if len(self._open) > self._max_connections:
            # All others are busy if this is the new one itself.
            self.close(next(iter(self._waiting)), reason="too many connections")

    def busy(self, connection: "LimitedProtocol") -> None:
        """Note that a connection has a request."""
        self._waiting.pop(connection, None)

    def idle(self, connection: "LimitedProtocol") -> None:
        """Note that a connection waits for its next request."""
        if connection in self._open:
            self._waiting[connection] = None

    def remove(self, connection: "LimitedProtocol") -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def close(self, connection: "LimitedProtocol", *, reason: str) -> None:
        """Close a connection at once. Many such ends make one log line a minute."""
        self.remove(connection)
        connection.transport.abort()
        self._closed[reason] += 1
        now_seconds = self._monotonic()
        if self._logged_seconds is None or now_seconds - self._logged_seconds >= LOG_SECONDS:
            counts = ", ".join(f"{count} ({why})" for why, count in self._closed.items())
            logger.warning("closed connections: %s", counts)
            self._closed.clear()
            self._logged_seconds = now_seconds


class LimitedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with limits. A subclass names the server's connections."""

    shared: ClassVar[Connections]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._await_head()
        self.shared.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_head_timer()
        self._stop_write_timer()
        self.shared.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on. Data that completes no head does not lengthen the time for it."""
        super().data_received(data)
        if self._is_serving:
            self._stop_head_timer()
            self.shared.busy(self)
        elif not self.transport.is_closing():
            self._await_head()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if not self._is_serving:
            self.shared.idle(self)

    def pause_writing(self) -> None:
        """Give the client time to read."""
        super().pause_writing()
        self._await_reading()

    def resume_writing(self) -> None:
        """Note that the client reads."""
        self._stop_write_timer()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Respond to bytes that are no HTTP, also in the middle of a body, with the error body of the API."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            error = InvalidRequest(f"{msg} The bytes are not HTTP/1.1.")
            content = json.dumps(error_body(error, path="", inference_id=sample_job_id())).encode()
            headers = [
                ("Content-Type", "application/json"),
                ("Content-Length", str(len(content))),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                ("Connection", "close"),
            ]
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=content),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        if self._is_serving:
            # The application reads a body that ended too early; what it responds has nowhere to go.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _should_upgrade(self) -> bool:
        # There are no WebSockets here, and uvicorn would log two warnings for every client that offers HTTP/2.
        return False

    @property
    def _is_serving(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._close, f"no head within {HEAD_SECONDS} s")

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _await_reading(self) -> None:
        num_bytes = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(UNREAD_SECONDS, self._check_reading, num_bytes)

    def _check_reading(self, num_bytes: int) -> None:
        if self.transport.get_write_buffer_size() < num_bytes:
            self._await_reading()
        else:
            self._close(f"nothing read within {UNREAD_SECONDS} s")

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _close(self, reason: str) -> None:
        self.shared.close(self, reason=reason)


def server_options(max_connections: int) -> dict[str, Any]:
    """Return the options of uvicorn that limit its connections."""
    connections = Connections(max_connections=max_connections, monotonic=time.monotonic)
    return {
        "http": type("ServerProtocol", (LimitedProtocol,), {"shared": connections}),
        "ws": "none",
        "backlog": max(1, min(MAX_BACKLOG, max_connections // 4)),
    }


def fit_to_open_files(max_connections: int) -> int:
    """Raise the process's limit of open files as far as is allowed, and return how many connections fit under it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max_connections + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return max_connections
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft >= wanted:
        return max_connections
    fitting = max(1, soft - min(SPARE_FILES, soft // 2))
    logger.warning("only %d connections at once: the limit of open files is %d", fitting, soft)
    return fitting


class FewAcceptErrors(logging.Filter):
    """A filter for asyncio's log: it writes one error for every connection that could not be accepted."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._logged_seconds: float | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Let one such error a minute through, and everything else."""
        if not str(record.msg).startswith("socket.accept()"):
            return True
        now_seconds: Any = self._monotonic()
        if self._logged_seconds is not None and now_seconds - self._logged_seconds < LOG_SECONDS:
            return False
        self._logged_seconds = now_seconds
        return True
