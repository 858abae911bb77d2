"""Streamed JSON: the same bytes as a whole body, with one piece of a file in memory at a time."""

import base64
import json
import os
from datetime import UTC, datetime

import pytest

from danqing.api.streamed_json import PIECE_BYTES, Base64File, StreamedJson, file_pieces, json_pieces
from danqing.storage.local import LocalImageStore


@pytest.fixture
async def store(tmp_path):
    store = LocalImageStore(tmp_path, lifetime=None, clock=lambda: datetime(2026, 11, 23, tzinfo=UTC))
    await store.start()
    return store


async def stored(store, data):
    return await store.find(await store.put(data, content_type="image/png", extension="png"))


@pytest.mark.parametrize("num_bytes", [0, 1, 2, 3, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES + 1])
async def test_a_file_in_a_body_is_its_base64(store, num_bytes):
    data = os.urandom(num_bytes)
    image = await stored(store, data)
    body = {"data": [{"url": Base64File(image, "data:image/png;base64,"), "b64_json": Base64File(image)}], "é": 1}
    pieces = [piece async for piece in json_pieces(body, store=store)]
    text = base64.b64encode(data).decode()
    assert json.loads(b"".join(pieces)) == {
        "data": [{"url": f"data:image/png;base64,{text}", "b64_json": text}],
        "é": 1,
    }
    assert max(map(len, pieces)) <= PIECE_BYTES * 4 // 3
    assert StreamedJson(body, store=store).headers["content-length"] == str(len(b"".join(pieces)))


async def test_a_body_without_files_is_ordinary_json(store):
    body = {"text": 'two\nlines, "quotes" and \u2028', "list": [None, 1.5, True]}
    pieces = [piece async for piece in json_pieces(body, store=store)]
    assert json.loads(b"".join(pieces)) == body
    assert b"\n" not in b"".join(pieces)


async def test_a_part_of_a_file_is_sent_in_pieces(store):
    data = os.urandom(2 * PIECE_BYTES)
    image = await stored(store, data)
    pieces = [piece async for piece in file_pieces(image, start=5, end=PIECE_BYTES + 10, store=store)]
    assert b"".join(pieces) == data[5 : PIECE_BYTES + 10]
    assert [len(piece) for piece in pieces] == [PIECE_BYTES, 5]
