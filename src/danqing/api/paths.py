"""Paths: every way in which clients join a base URL and an endpoint leads to the endpoint.

An ASGI layer. It drops double slashes, slashes at the end, what a base URL repeats (`/v1/v1`), `/api` in front, and the
path of the public URL, which some proxies leave in. It adds or corrects the version.
"""

import re

from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

VERSIONS = ("v1", "v2")
PREFIXES = ("api", *VERSIONS)
GENERATIONS = ["images", "generations"]
# The links inside these pages are relative, so their paths stay as they are.
PAGES = ("docs", "playground")
_ORIGIN = re.compile(r"\Ahttps?://[^/]*", re.IGNORECASE)


class CanonicalPaths:
    """The layer. `public_path` is the path of the public URL."""

    def __init__(self, app: ASGIApp, *, public_path: str) -> None:
        self._app = app
        self._public_segments = _segments(public_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request under its canonical path."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = self._canonical(scope)
        # A copy: the layers outside log the path that the client used.
        inner = {**scope, "path": path, "raw_path": path.encode("utf-8", "surrogateescape")}
        try:
            await self._app(inner, receive, send)
        finally:
            scope["route"] = inner.get("route")

    def _canonical(self, scope: Scope) -> str:
        # As clients write it that take the server for a proxy.
        segments = _segments(_ORIGIN.sub("", scope["path"]))
        num_public = len(self._public_segments)
        if num_public and segments[:num_public] == self._public_segments:
            segments = segments[num_public:]
        if segments[:1] and segments[0] in PAGES:
            return str(scope["path"]) if not num_public else _joined(segments)
        for candidate in _candidates(segments):
            if _leads_somewhere(scope, candidate):
                return candidate
        return _joined(segments)


def _segments(path: str) -> list[str]:
    return [segment for segment in path.split("/") if segment]


def _joined(segments: list[str]) -> str:
    return "/" + "/".join(segments)


def _candidates(segments: list[str]) -> list[str]:
    """Return the paths that may be meant, the likeliest first."""
    starts = [start for start in range(len(segments)) if segments[start : start + 2] == GENERATIONS]
    if len(starts) > 1:
        # The whole endpoint was given as the base URL.
        segments = segments[starts[-1] :]
    given: list[list[str]] = []
    while segments and segments[0] in PREFIXES:
        given = [segments[:1]] if segments[0] in VERSIONS else given
        segments = segments[1:]
    if given and (not segments or segments[0] in PAGES):
        return []
    prefixes = [*given, [], *([version] for version in VERSIONS)]
    return [_joined(prefix + segments) for prefix in prefixes]


def _leads_somewhere(scope: Scope, path: str) -> bool:
    # Match.PARTIAL: the path is right, the method is not.
    return any(route.matches({**scope, "path": path})[0] is not Match.NONE for route in scope["app"].routes)
