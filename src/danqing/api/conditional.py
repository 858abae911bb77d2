"""Whether the client has the present version already. Knows nothing of what the versions are of."""

from starlette.requests import Request


def has_version(request: Request, etag: str) -> bool:
    """Say whether If-None-Match names this version."""
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    return etag in known or "*" in known
