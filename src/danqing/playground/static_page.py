"""Static pages: routes for their files, security headers, and browser caching by ETag."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from danqing.errors import NotFound
from danqing.etags import etag_of, names_etag

INDEX = "index.html"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Nothing from other hosts, nothing inline. Pictures may be blobs: the pages keep them that way.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # The browser keeps a copy and revalidates it every time.
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, kw_only=True)
class StaticFile:
    """One file of a page."""

    content: bytes
    media_type: str
    etag: str


def page_router(paths: Iterable[Path], *, page: str, parts: str) -> APIRouter:
    """Serve `index.html` at the path `page`, and the other files by name below `parts`."""
    files = {path.name: _read(path) for path in paths if path.suffix in MEDIA_TYPES}
    index = files.pop(INDEX)
    router = APIRouter(include_in_schema=False)
    router.add_api_route(page, _sender(index))

    @router.get(f"{parts}/{{name}}")
    async def part(name: str, request: Request) -> Response:
        if name not in files:
            raise NotFound("There is nothing at this path.")
        return await _sender(files[name])(request)

    return router


def _read(path: Path) -> StaticFile:
    content = path.read_bytes()
    return StaticFile(content=content, media_type=MEDIA_TYPES[path.suffix], etag=etag_of(content))


def _sender(file: StaticFile) -> Callable[[Request], Awaitable[Response]]:
    async def send(request: Request) -> Response:
        headers = {**HEADERS, "ETag": file.etag}
        if names_etag(request.headers.get("if-none-match", ""), file.etag):
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.media_type, headers=headers)

    return send
