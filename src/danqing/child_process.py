"""A child process of the server: how it starts, the frames on its pipes, and how it ends with its parent.

A frame is a length of four bytes and one msgpack message. Commands go to the child's standard input, reports come from
its standard output.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import struct
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import msgspec

# The largest image is 12 MiB of pixels.
MAX_FRAME_BYTES = 64 << 20
# What the parent reads ahead of its own reader.
_PIPE_BUFFER_BYTES = 1 << 20
_LENGTH = struct.Struct(">I")

# Linux only: <sys/prctl.h> PR_SET_PDEATHSIG, and how much sooner than its parent a child is to be killed when memory
# runs out (0 the same, 1000 always first).
_PR_SET_PDEATHSIG = 1
_OOM_SCORE_ADJUSTMENT = 500

# How a child's threads wait for each other between two parallel operations of a numeric library. By OpenMP's default
# they spin for milliseconds, on a busy machine against the very thread they wait for; after this many turns, some
# ten microseconds, they sleep. Measured by benchmarks/threads.py.
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
_SPINS = "1000"

Message = TypeVar("Message")


class ProtocolError(Exception):
    """The other side sent something that is not one of our frames."""


class Frames(Generic[Message]):
    """The frames of one direction of a pipe."""

    def __init__(self, messages: Any) -> None:
        """`messages` is the union of the records that may be sent: msgspec Structs with a tag."""
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(messages)

    def encode(self, message: Message) -> bytes:
        """Return the frame of `message`."""
        body = self._encoder.encode(message)
        assert len(body) <= MAX_FRAME_BYTES, f"a {type(message).__name__} of {len(body)} bytes"
        return _LENGTH.pack(len(body)) + body

    def send(self, message: Message, stream: BinaryIO) -> None:
        """Write one message at once."""
        stream.write(self.encode(message))
        stream.flush()

    def read(self, stream: BinaryIO) -> Message | None:
        """Read the next message; None at the end of the stream. Raises ProtocolError."""
        length = stream.read(_LENGTH.size)
        if len(length) < _LENGTH.size:
            return None
        num_bytes = _body_bytes(length)
        body = stream.read(num_bytes)
        return self._decode(body) if len(body) == num_bytes else None

    async def receive(self, stream: asyncio.StreamReader) -> Message | None:
        """Await the next message; None at the end of the stream. Raises ProtocolError."""
        try:
            return self._decode(await stream.readexactly(_body_bytes(await stream.readexactly(_LENGTH.size))))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None

    def _decode(self, body: bytes) -> Message:
        try:
            message: Message = self._decoder.decode(body)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise ProtocolError(f"a frame of {len(body)} bytes cannot be read: {error}") from error
        return message


def _body_bytes(length: bytes) -> int:
    num_bytes: int = _LENGTH.unpack(length)[0]
    if num_bytes > MAX_FRAME_BYTES:
        raise ProtocolError(f"a frame of {num_bytes} bytes is over the limit of {MAX_FRAME_BYTES}")
    return num_bytes


def child_command(module: str, *arguments: str) -> list[str]:
    """Return the command of a child that runs `module` in this Python."""
    # -P: files in the working directory must not shadow modules.
    return [sys.executable, "-P", "-m", module, *arguments]


async def start_child(command: Sequence[str]) -> asyncio.subprocess.Process:
    """Start a child with pipes for its commands and reports."""
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_PIPE_BUFFER_BYTES,
        # A session of its own: Ctrl-C in the terminal must reach the server alone, which then drains.
        start_new_session=True,
    )


def become_child() -> BinaryIO:
    """Make this process a child that ends with its parent; returns the stream for its reports.

    Comes before the import of a numeric library, which reads the environment once.
    """
    _end_with_parent()
    limit_spinning(os.environ)
    # Text that a library prints goes to stderr instead of into a frame.
    reports = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return reports


def limit_spinning(environment: MutableMapping[str, str]) -> None:
    """Let threads of numeric libraries spin only briefly, unless the environment says how they wait."""
    if not any(name in environment for name in _WAITING):
        environment["GOMP_SPINCOUNT"] = _SPINS


def _end_with_parent() -> None:
    """End with the parent, only with the parent, and before it when memory runs out."""
    # A drain waits for running work, so a signal meant for the whole service must not end it early.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE_ADJUSTMENT))
