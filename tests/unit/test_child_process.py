"""Frames survive the pipe and broken ones are noticed; a child leaves its pipe to frames alone."""

import asyncio
import io
import os
import struct
import subprocess
import sys

import msgspec
import pytest

from danqing.child_process import MAX_FRAME_BYTES, Frames, ProtocolError


class Word(msgspec.Struct, frozen=True, tag=True):
    text: str


class Pixels(msgspec.Struct, frozen=True, tag=True):
    data: bytes


FRAMES: Frames[Word | Pixels] = Frames(Word | Pixels)
WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
MESSAGES: list[Word | Pixels] = [Word("丹青 🦖"), Pixels(bytes(range(256)) * 1000), Word("")]


async def test_messages_follow_each_other_and_the_end_is_none() -> None:
    frames = b"".join(FRAMES.encode(message) for message in MESSAGES)
    blocking, stream = io.BytesIO(frames), _stream(frames)
    assert [FRAMES.read(blocking) for _ in MESSAGES] == MESSAGES
    assert [await FRAMES.receive(stream) for _ in MESSAGES] == MESSAGES
    assert FRAMES.read(blocking) is None
    assert await FRAMES.receive(stream) is None


@pytest.mark.parametrize("num_bytes", [1, 4, 20, -1])
async def test_a_frame_cut_short_is_the_end(num_bytes: int) -> None:
    frame = FRAMES.encode(MESSAGES[1])[:num_bytes]
    assert FRAMES.read(io.BytesIO(frame)) is None
    assert await FRAMES.receive(_stream(frame)) is None


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@pytest.mark.parametrize(
    "data",
    [
        b"Traceback (most recent call last)",
        struct.pack(">I", MAX_FRAME_BYTES + 1),
        frame(b""),
        frame(b"{}"),
        frame(b"\x91" * 100_000),
        frame(msgspec.msgpack.encode({"text": "no tag"})),
        frame(msgspec.msgpack.encode({"type": "Stranger", "text": "x"})),
        frame(msgspec.msgpack.encode({"type": "Word", "text": 5})),
        frame(msgspec.msgpack.encode({"type": "Word"})),
        frame(b"\x82\xa4type\xa4Word\xa4text\xa1\xff"),
        frame(msgspec.msgpack.encode(Word("x")) + b"more"),
    ],
    ids=range(11),
)
async def test_anything_else_is_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        FRAMES.read(io.BytesIO(data))
    with pytest.raises(ProtocolError):
        await FRAMES.receive(_stream(data))


def test_text_that_a_library_prints_does_not_reach_the_reports() -> None:
    program = (
        "import os; from danqing.child_process import become_child\n"
        "reports = become_child()\n"
        "print('a library', flush=True); os.system('echo a program')\n"
        "reports.write(b'a frame'); reports.flush()"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert result.stdout == b"a frame"
    assert sorted(result.stderr.splitlines()) == [b"a library", b"a program"]


def _stream(data: bytes) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    return stream


@pytest.mark.parametrize(
    ("setting", "expected"),
    [({}, "None 1000"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "PASSIVE None"), ({"GOMP_SPINCOUNT": "7"}, "None 7")],
)
def test_threads_of_a_child_spin_briefly_unless_told_how_to_wait(setting: dict[str, str], expected: str) -> None:
    program = (
        "import os; from danqing.child_process import become_child; become_child(); "
        "print(os.environ.get('OMP_WAIT_POLICY'), os.environ.get('GOMP_SPINCOUNT'))"
    )
    environment = {name: value for name, value in os.environ.items() if name not in WAITING} | setting
    child = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert child.stderr.strip() == expected
