"""Responses of an upstream server: images and previews, errors in either shape, and the limits of what is read."""

import base64
import binascii
import io
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import httpx
import msgspec
from PIL import Image, ImageOps

from danqing.engine.interface import EngineFailed
from danqing.errors import InvalidRequest, ModerationBlocked, Overloaded, ServiceError
from danqing.pictures.raster import Raster
from danqing.pictures.sizes import MAX_SIDE_PX

# The largest image, as base64 of an incompressible PNG, has 17 MiB; a stream has previews beside it.
MAX_RESPONSE_BYTES = 32 << 20
MAX_ERROR_BYTES = 65_536
MAX_MESSAGE_CHARACTERS = 300
RETRY_AFTER_SECONDS = 5
EVENT_STREAM = "text/event-stream"
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP")

_REJECTIONS = (httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY, httpx.codes.REQUEST_ENTITY_TOO_LARGE)
_OUR_FAULTS = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED)
_BUSY = (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE)


class BadResponse(ServiceError):
    """The upstream engine sent a response that cannot be used."""


class _Meta(msgspec.Struct):
    warnings: list[str] = []


class _Event(msgspec.Struct):
    """An event of a stream."""

    type: str = ""
    b64_json: str = ""
    error: msgspec.Raw | None = None
    meta: _Meta | None = None


class _ImageFields(msgspec.Struct):
    b64_json: str | None = None


class _Body(msgspec.Struct):
    data: list[_ImageFields]


class Preview(msgspec.Struct, frozen=True):
    """A partial image, as the bytes of its file."""

    file: bytes


class Final(msgspec.Struct, frozen=True):
    """The finished image, as the bytes of its file, and what the server warned of."""

    file: bytes
    warnings: tuple[str, ...] = ()


async def read(response: httpx.Response) -> AsyncGenerator[Preview | Final, None]:
    """Yield what a response brings. Raises ServiceError for an error response and for nonsense."""
    if response.status_code != httpx.codes.OK:
        raise error_of(response, await _read_start(response, MAX_ERROR_BYTES))
    if response.headers.get("content-type", "").startswith(EVENT_STREAM):
        async for data in _events(_limited(response)):
            image = _image_of(data)
            if image is not None:
                yield image
        return
    body = b"".join([chunk async for chunk in _limited(response)])
    try:
        images = msgspec.json.decode(body, type=_Body).data
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise BadResponse("The upstream engine sent something that is no list of images.") from None
    if len(images) != 1 or images[0].b64_json is None:
        raise BadResponse(
            f"The upstream engine sent {len(images)} images with no bytes, in place of one with its bytes."
        )
    yield Final(_decoded(images[0].b64_json))


def raster_of(file: bytes, *, width_px: int | None, height_px: int | None) -> Raster:
    """Decode a file; it must have this size, if one is given. Raises BadResponse."""
    try:
        image = Image.open(io.BytesIO(file), formats=IMAGE_FORMATS)
        # Before the pixels: a small file may promise a huge image.
        if max(image.size) > MAX_SIDE_PX or (width_px is not None and image.size != (width_px, height_px)):
            wanted = f"{width_px}x{height_px}" if width_px else f"at most {MAX_SIDE_PX} a side"
            raise BadResponse(f"The upstream engine drew {image.width}x{image.height} pixels in place of {wanted}.")
        pixels = image.convert("RGB")
    # Pillow has its own error for a bomb, and raises SyntaxError for a broken PNG.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadResponse("The upstream engine sent a file that is no image.") from None
    return Raster(width_px=pixels.width, height_px=pixels.height, rgb=pixels.tobytes())


def fitted(raster: Raster, *, width_px: int | None, height_px: int | None) -> Raster:
    """Return the image in exactly the requested size, resized and cropped around its centre."""
    if width_px is None or height_px is None or (raster.width_px, raster.height_px) == (width_px, height_px):
        return raster
    image = Image.frombytes("RGB", (raster.width_px, raster.height_px), raster.rgb)
    image = ImageOps.fit(image, (width_px, height_px), Image.Resampling.LANCZOS)
    return Raster(width_px=width_px, height_px=height_px, rgb=image.tobytes())


def error_of(response: httpx.Response, body: bytes) -> ServiceError:
    """Return the error of a response. Its message comes from the server where it is about the caller's request."""
    status = response.status_code
    code, message = _described(body)
    if code == "moderation_blocked":
        return ModerationBlocked(message or None, param="prompt")
    if status in _REJECTIONS:
        return InvalidRequest(f"The upstream engine refused the request: {message or f'status {status}'}")
    if status in _OUR_FAULTS:
        return EngineFailed(f"The upstream engine refuses this server, with status {status}.")
    if status in _BUSY:
        return Overloaded("The upstream engine is busy.", retry_after_seconds=RETRY_AFTER_SECONDS)
    return ServiceError(f"The upstream engine failed, with status {status}.")


def _image_of(data: bytes) -> Preview | Final | None:
    try:
        event = msgspec.json.decode(data, type=_Event)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise BadResponse("The upstream engine sent an event that cannot be read.") from None
    if event.error is not None:
        raise _stream_error(bytes(event.error))
    match event.type:
        case "image_generation.partial_image":
            return Preview(_decoded(event.b64_json))
        case "image_generation.completed":
            return Final(_decoded(event.b64_json), tuple(event.meta.warnings if event.meta else ()))
        case _:
            return None


def _stream_error(error: bytes) -> ServiceError:
    code, message = _described(b'{"error":' + error + b"}")
    if code == "moderation_blocked":
        return ModerationBlocked(message or None, param="prompt")
    if code == "invalid_payload":
        return InvalidRequest(f"The upstream engine refused the request: {message}")
    if code == "overloaded":
        return Overloaded("The upstream engine is busy.", retry_after_seconds=RETRY_AFTER_SECONDS)
    return ServiceError("The upstream engine failed while it drew.")


def _described(body: bytes) -> tuple[str, str]:
    """Return code and message of `{"error": …}` or `{"detail": …}`; both may be empty."""
    try:
        fields: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return "", ""
    if not isinstance(fields, dict):
        return "", ""
    error = fields.get("error", fields.get("detail"))
    if isinstance(error, list) and error:
        # FastAPI lists the bad fields.
        error = error[0].get("msg") if isinstance(error[0], dict) else error[0]
    if isinstance(error, dict):
        return str(error.get("code", "")), str(error.get("message", ""))[:MAX_MESSAGE_CHARACTERS]
    return "", error[:MAX_MESSAGE_CHARACTERS] if isinstance(error, str) else ""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadResponse("The upstream engine sent an image that is not in base64.") from None


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the data of every server-sent event."""
    buffer = bytearray()
    async for chunk in chunks:
        searched = max(0, len(buffer) - 1)
        buffer += chunk.replace(b"\r", b"")
        while (end := buffer.find(b"\n\n", searched)) >= 0:
            lines = bytes(buffer[:end]).split(b"\n")
            del buffer[: end + 2]
            searched = 0
            data = b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
            if data:
                yield data


async def _limited(response: httpx.Response) -> AsyncIterator[bytes]:
    num_bytes = 0
    # Raw: a compressed body, which nobody asked for, is nonsense rather than a bomb.
    async for chunk in response.aiter_raw():
        num_bytes += len(chunk)
        if num_bytes > MAX_RESPONSE_BYTES:
            raise BadResponse(f"The upstream engine sent more than {MAX_RESPONSE_BYTES} bytes for one image.")
        yield chunk


async def _read_start(response: httpx.Response, num_bytes: int) -> bytes:
    start = b""
    async for chunk in response.aiter_raw():
        start += chunk
        if len(start) >= num_bytes:
            break
    return start[:num_bytes]
