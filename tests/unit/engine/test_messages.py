"""Frames survive the pipe, and broken ones are noticed."""

import asyncio
import io
import struct

import pytest

from danqing.engine.interface import ImageResult, Progress
from danqing.engine.messages import (
    MAX_HEADER_BYTES,
    Cancel,
    Draw,
    Drew,
    Ended,
    LoadFailed,
    Loading,
    Message,
    Outcome,
    ProtocolError,
    Ready,
    Write,
    encode,
    read,
    receive,
)
from danqing.pictures.raster import Raster
from danqing.pictures.request import ImageRequest

RASTER = Raster(width_px=2, height_px=1, rgb=bytes(range(6)))
REQUEST = ImageRequest(
    prompt="丹青 🦖",
    negative_prompt="",
    width_px=None,
    height_px=None,
    num_images=2,
    seed=2**63 - 1,
    num_inference_steps=28,
    guidance_scale=7.5,
)
MESSAGES: list[Message] = [
    Draw(draw_id=1, request=REQUEST, image_indexes=(0, 1)),
    Write(draw_id=2, prompt="丹青 🦖", seed=2**63 - 1),
    Cancel(draw_id=1),
    Loading(num_done=1, num_total=2),
    Ready(model="mini"),
    LoadFailed(reason="no such file", permanent=True),
    Ended(draw_id=2, outcome=Outcome.COMPLETED, caption="红色的恐龙 🦖"),
    Drew(draw_id=1, event=Progress(image_index=0, step=1, num_steps=2)),
    Drew(draw_id=1, event=Progress(image_index=0, step=1, num_steps=2, preview=RASTER)),
    Drew(draw_id=1, event=ImageResult(image_index=1, seed=8, raster=RASTER)),
    Ended(draw_id=1, outcome=Outcome.FAILED, reason="bug"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
async def test_every_message_survives_the_pipe(message: Message) -> None:
    frame = encode(message)
    assert read(io.BytesIO(frame)) == message
    assert await receive(_stream(frame)) == message


async def test_messages_follow_each_other_and_the_end_is_none() -> None:
    frames = b"".join(encode(message) for message in MESSAGES)
    blocking, stream = io.BytesIO(frames), _stream(frames)
    assert [read(blocking) for _ in MESSAGES] == MESSAGES
    assert [await receive(stream) for _ in MESSAGES] == MESSAGES
    assert read(blocking) is None
    assert await receive(stream) is None


@pytest.mark.parametrize("num_bytes", [1, 9, 20, -1])
async def test_a_frame_cut_short_is_the_end(num_bytes: int) -> None:
    frame = encode(MESSAGES[-2])[:num_bytes]
    assert read(io.BytesIO(frame)) is None
    assert await receive(_stream(frame)) is None


@pytest.mark.parametrize(
    "frame",
    [
        b"Traceback (most recent call last)",
        struct.pack(">II", MAX_HEADER_BYTES + 1, 0),
        struct.pack(">II", 2, 0) + b"[]",
        struct.pack(">II", 2, 0) + b"{]",
        struct.pack(">II", 2, 0) + b"{}",
        struct.pack(">II", 17, 0) + b'{"type": "erupt"}',
        struct.pack(">II", 16, 0) + b'{"type":"ready"}',
        encode(MESSAGES[-2]).replace(b'"width_px": 2', b'"width_px": 3'),
        encode(MESSAGES[-2]).replace(b'"width_px"', b'"width_xp"'),
        encode(MESSAGES[-1]).replace(b'"failed"', b'"flaked"'),
    ],
)
async def test_what_is_no_frame_is_an_error(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(io.BytesIO(frame))
    with pytest.raises(ProtocolError):
        await receive(_stream(frame))


def _stream(data: bytes) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    return stream
