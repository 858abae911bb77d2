"""JSON bodies with image files inside, sent in pieces: a client that does not read costs the memory of one piece."""

import base64
import json
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.responses import StreamingResponse

from danqing.storage.image_store import ImageStore, StoredImage

# A multiple of three, so that the base64 of the pieces is the base64 of the file.
PIECE_BYTES = 3 * 2**15


@dataclass(frozen=True)
class Base64File:
    """A value of a JSON body: an image file in base64, after `prefix`."""

    image: StoredImage
    prefix: str = ""

    @property
    def num_characters(self) -> int:
        """The length of the value, without its quotes."""
        return len(self.prefix) + 4 * ((self.image.num_bytes + 2) // 3)


class StreamedJson(StreamingResponse):
    """A JSON response whose values may be `Base64File`s."""

    media_type = "application/json"

    def __init__(self, body: Mapping[str, Any], *, store: ImageStore, headers: Mapping[str, str] | None = None) -> None:
        parts = _parts(body)
        num_bytes = sum(part.num_characters if isinstance(part, Base64File) else len(part) for part in parts)
        super().__init__(_pieces(parts, store), headers={**(headers or {}), "Content-Length": str(num_bytes)})


def json_pieces(body: Mapping[str, Any], *, store: ImageStore) -> AsyncGenerator[bytes, None]:
    """Yield the JSON of a body whose values may be `Base64File`s, on one line."""
    return _pieces(_parts(body), store)


async def file_pieces(image: StoredImage, *, start: int, end: int, store: ImageStore) -> AsyncIterator[bytes]:
    """Yield the bytes of a file from `start` to `end`. Raises what the store raises."""
    for position in range(start, end, PIECE_BYTES):
        yield await store.read(image.path, start=position, num_bytes=min(PIECE_BYTES, end - position))


def _parts(body: Mapping[str, Any]) -> list[bytes | Base64File]:
    files: list[Base64File] = []
    # A mark that no text of the body can hold.
    mark = secrets.token_hex(16)

    def marked(value: object) -> str:
        assert isinstance(value, Base64File)
        files.append(value)
        return mark

    text = json.dumps(body, default=marked, ensure_ascii=False, separators=(",", ":"))
    first, *rest = text.encode().split(mark.encode())
    return [first, *(part for pair in zip(files, rest, strict=True) for part in pair)]


async def _pieces(parts: list[bytes | Base64File], store: ImageStore) -> AsyncGenerator[bytes, None]:
    for part in parts:
        if isinstance(part, bytes):
            yield part
            continue
        yield part.prefix.encode()
        async for piece in file_pieces(part.image, start=0, end=part.image.num_bytes, store=store):
            yield base64.b64encode(piece)
