"""Image files by their links, without a key: the link is the secret. Ranges, ETag, caching; redirects to the bucket."""

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from danqing.api.services import Services, ServicesDep
from danqing.api.streamed_json import file_pieces
from danqing.etags import names_etag
from danqing.storage.image_store import StoredImage

# For files without a lifetime: a year, the most that caches honour.
MAX_CACHE_SECONDS = 31_536_000
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")

_IMAGE = {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/png", "image/jpeg")}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The image.", **_IMAGE},
    206: {"description": "The part that `Range` names.", **_IMAGE},
    307: {"description": "The image is at the address in `Location`, for as long as this link lives."},
    304: {"description": "The client has this version."},
    416: {"description": "The file has no such part."},
}

router = APIRouter(tags=["files"])


@router.get("/files/b/{folder}/{name}", response_class=Response, responses=RESPONSES)
async def read_file(folder: str, name: str, request: Request, services: ServicesDep) -> Response:
    """Send an image file, or the part of it that `Range` names."""
    image = await services.store.find(f"files/b/{folder}/{name}")
    headers = _headers(image, services)
    if names_etag(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    presigned = await services.store.presigned_link(image)
    if presigned is not None:
        # A copy of it in a cache would outlive the signature.
        return RedirectResponse(presigned, status_code=307, headers={**headers, "Cache-Control": "no-store"})
    wanted = _wanted_range(request, image, etag=headers["ETag"])
    if wanted is None:
        return _send(image, services, headers=headers, start=0, end=image.num_bytes, status=200)
    start, end = wanted
    if start >= end:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{image.num_bytes}"})
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{image.num_bytes}"
    return _send(image, services, headers=headers, start=start, end=end, status=206)


def _headers(image: StoredImage, services: Services) -> dict[str, str]:
    max_age_seconds = MAX_CACHE_SECONDS
    if image.expires_at is not None:
        remaining = (image.expires_at - services.clock()).total_seconds()
        max_age_seconds = max(0, min(MAX_CACHE_SECONDS, int(remaining)))
    return {
        # The bytes under a path never change.
        "ETag": f'"{image.path.rpartition("/")[2]}"',
        "Cache-Control": f"public, max-age={max_age_seconds}, immutable",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Accept-Ranges": "bytes",
    }


def _wanted_range(request: Request, image: StoredImage, *, etag: str) -> tuple[int, int] | None:
    """Return start and end of the requested range; None for the whole file. A range beyond the file has start >= end.

    Several ranges, or a range of another version, get the whole file, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    if match is None or match[0] == "bytes=-" or request.headers.get("if-range", etag) != etag:
        return None
    if match[1] == "":
        return max(0, image.num_bytes - int(match[2])), image.num_bytes
    start = int(match[1])
    end = image.num_bytes if match[2] == "" else min(int(match[2]) + 1, image.num_bytes)
    return None if match[2] != "" and int(match[2]) < start else (start, end)


def _send(
    image: StoredImage,
    services: Services,
    *,
    headers: dict[str, str],
    start: int,
    end: int,
    status: int,
) -> Response:
    return StreamingResponse(
        file_pieces(image, start=start, end=end, store=services.store),
        status_code=status,
        media_type=image.content_type,
        headers={**headers, "Content-Length": str(end - start)},
    )
