"""Connections that harm: 1,000 half-open, slow and unread ones: `PYTHONPATH=tests:. python proofs/connections.py`.

A real server with a scripted engine. While each kind is held, `/healthz` is asked over new connections; its times, the
server's memory and what its log grew by are printed.
"""

import os
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import requests
from acceptance.server import Server

from proofs.load import _percentile, _rss_mib, _server

NUM_CONNECTIONS = 1000
HEALTH_INTERVAL_SECONDS = 0.1
# Longer than a head may take; and than a response may stay unread.
HEAD_WATCH_SECONDS = 25
UNREAD_WATCH_SECONDS = 75
# More than the buffers of a connection hold.
FILE_BYTES = 8 * 2**20
RECEIVE_BUFFER_BYTES = 4096
HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: "


def connect(server: Server, first_bytes: bytes) -> socket.socket:
    """Open a connection that takes few bytes in, and send the first of its own."""
    address = urlsplit(server.url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    connection.connect((address.hostname, address.port))
    connection.sendall(first_bytes)
    return connection


def send_a_byte(connections: list[socket.socket]) -> None:
    """Go on with heads that never end; the server has closed some."""
    for connection in connections:
        with suppress(OSError):
            connection.send(b"a")


def large_file(server: Server) -> str:
    """Return the path of a file's link, with more bytes behind it than an engine's picture has."""
    path = urlsplit(server.post(size="64x64", num_inference_steps=1).json()["data"][0]["url"]).path
    stored = next((server.log_file.with_suffix("") / "images" / "files").rglob(Path(path).name))
    stored.write_bytes(os.urandom(FILE_BYTES))
    return path


def num_open_files(server: Server) -> int:
    """Return how many files and sockets the server holds. What a client sees is late: it has bytes left to read."""
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def watch(
    server: Server,
    kind: str,
    first_bytes: bytes,
    *,
    seconds: float,
    keep_up: Callable[[list[socket.socket]], None] = lambda _: None,
) -> None:
    """Hold the connections, ask for `/healthz` meanwhile, and print the figures."""
    log_bytes, before_mib, peak_mib = server.log_file.stat().st_size, _rss_mib(server), 0.0
    num_files = num_open_files(server)
    connections = [connect(server, first_bytes) for _ in range(NUM_CONNECTIONS)]
    times, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        began = time.perf_counter()
        assert requests.get(f"{server.url}/healthz", timeout=30).status_code == 200
        times.append(time.perf_counter() - began)
        peak_mib = max(peak_mib, _rss_mib(server))
        keep_up(connections)
        time.sleep(HEALTH_INTERVAL_SECONDS)
    num_open = num_open_files(server) - num_files
    for connection in connections:
        connection.close()
    log_bytes = server.log_file.stat().st_size - log_bytes
    print(
        f"{NUM_CONNECTIONS} {kind}: /healthz {len(times)} times, median {1000 * statistics.median(times):.0f} ms,"
        f" p99 {1000 * _percentile(times, 99):.0f} ms, longest {1000 * max(times):.0f} ms; memory {before_mib:.0f} MiB"
        f" before, at most {peak_mib:.0f}; log {log_bytes} bytes; {num_open} still open after {seconds:.0f} s",
        flush=True,
    )


def main() -> None:
    """Hold one kind after the other."""
    with _server("inside") as server:
        unread = f"GET {large_file(server)} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        watch(server, "half-open", HALF_A_HEAD, seconds=HEAD_WATCH_SECONDS)
        watch(server, "slow", HALF_A_HEAD, seconds=HEAD_WATCH_SECONDS, keep_up=send_a_byte)
        watch(server, "unread", unread, seconds=UNREAD_WATCH_SECONDS)
        assert server.post(size="64x64", num_inference_steps=1).status_code == 200


if __name__ == "__main__":
    main()
