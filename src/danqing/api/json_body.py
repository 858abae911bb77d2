"""JSON request bodies, read, decompressed and parsed within limits."""

import asyncio
import json
import zlib
from contextlib import suppress
from typing import Any

from starlette.requests import ClientDisconnect, Request

from danqing.api.errors import BodyTooLarge, RequestTimeout, UnsupportedMediaType
from danqing.api.issues import echo, invalid_request, issue
from danqing.errors import InvalidRequest
from danqing.pictures.request import MAX_SEED, fold_seed

BODY_TIMEOUT_SECONDS = 60
# A client reads the response only after it has sent its body, so this much more is read and discarded.
MAX_DISCARDED_BYTES = 64 * 2**20
# Python refuses to convert longer integers, because the time grows with the square of their length.
MAX_INTEGER_CHARACTERS = 4000
# The content encodings that are understood, with their window bits in zlib.
WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


async def read_json(request: Request, *, max_bytes: int) -> Any:
    """Read and parse the body. Raises UnsupportedMediaType, BodyTooLarge, RequestTimeout or InvalidRequest."""
    _check_content_type(request.headers.get("content-type", "application/json"))
    encoding = _content_encoding(request)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            raw = await _read_limited(request, max_bytes)
    except TimeoutError:
        raise RequestTimeout(f"The request body did not arrive within {BODY_TIMEOUT_SECONDS} seconds.") from None
    except ClientDisconnect:
        raise InvalidRequest("The connection ended before the body did.") from None
    return parse_json(_decompress(raw, encoding, max_bytes=max_bytes))


def parse_json(raw: bytes) -> Any:
    """Parse strict JSON. Raises InvalidRequest."""
    try:
        return json.loads(raw.decode("utf-8-sig"), parse_int=_parse_integer, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        problem = "The body is not UTF-8"
    except RecursionError:
        problem = "The body is nested too deeply"
    except json.JSONDecodeError as error:
        problem = f"The body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}"
    except _NotJson as error:
        problem = f"The body is not valid JSON: {error}"
    raise invalid_request([issue("invalid_json", [], problem)])


async def _read_limited(request: Request, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    num_bytes = 0
    async for chunk in request.stream():
        num_bytes += len(chunk)
        if num_bytes <= max_bytes:
            chunks.append(chunk)
        else:
            chunks.clear()
        if num_bytes > max_bytes + MAX_DISCARDED_BYTES:
            break
    if num_bytes > max_bytes:
        raise BodyTooLarge(f"The request body is larger than {max_bytes} bytes.")
    return b"".join(chunks)


def _content_encoding(request: Request) -> str:
    encoding = ",".join(request.headers.getlist("content-encoding")).strip().lower()
    if encoding in WINDOW_BITS or encoding in ("", "identity"):
        return encoding
    # The client learns from the header what it may send (RFC 9110).
    request.state.response_headers["Accept-Encoding"] = ", ".join(WINDOW_BITS)
    raise UnsupportedMediaType(
        f"Content-Encoding: '{echo(encoding)}' is not supported; send {', '.join(WINDOW_BITS)} or none."
    )


def _decompress(raw: bytes, encoding: str, *, max_bytes: int) -> bytes:
    if encoding not in WINDOW_BITS:
        return raw
    try:
        return _inflate(raw, WINDOW_BITS[encoding], max_bytes)
    except zlib.error:
        pass
    if encoding == "deflate":
        # Many clients leave out the zlib header that the standard asks for.
        with suppress(zlib.error):
            return _inflate(raw, -zlib.MAX_WBITS, max_bytes)
    raise invalid_request([issue("custom", [], f"The body is not valid {encoding}")])


def _inflate(raw: bytes, window_bits: int, max_bytes: int) -> bytes:
    inflating = zlib.decompressobj(window_bits)
    # One byte more than allowed tells a body that is too large.
    body = inflating.decompress(raw, max_bytes + 1)
    if len(body) > max_bytes:
        raise BodyTooLarge(f"The decompressed request body is larger than {max_bytes} bytes.")
    if not inflating.eof:
        raise zlib.error("the stream ends too early")
    return body


def _check_content_type(content_type: str) -> None:
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMediaType("The request body must be application/json; set the Content-Type header.")


class _NotJson(ValueError):
    """Python's parser accepts this; JSON does not."""


def _refuse_constant(name: str) -> None:
    raise _NotJson(f"{name} is not a JSON number")


def _parse_integer(digits: str) -> int:
    if len(digits) <= MAX_INTEGER_CHARACTERS:
        return int(digits)
    # A stand-in beyond the range of every field. Folded as a seed, it gives what the full number would.
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits)
    folded = 0
    for start in range(0, len(digits), MAX_INTEGER_CHARACTERS):
        piece = digits[start : start + MAX_INTEGER_CHARACTERS]
        folded = fold_seed(folded * 10 ** len(piece) + int(piece))
    return sign * (MAX_SEED + folded)
