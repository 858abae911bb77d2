"""The image store: its interface, and the paths of images.

A path is `files/b/{8 hex}/{21 characters}.{extension}`. The hex digits are the second at which the image was stored.
The path alone distinguishes an expired image from one that never existed, and the clean-up needs no index.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from danqing.errors import Gone, NotFound

PATH_PREFIX = "files/b"
NAME_LENGTH = 21
CONTENT_TYPES = {"png": "image/png", "jpg": "image/jpeg"}
# No store is older than the project, so a path with an earlier time was never issued.
FIRST_POSSIBLE_TIME = datetime(2026, 1, 1, tzinfo=UTC)

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PATH = re.compile(rf"{PATH_PREFIX}/([0-9a-f]{{8}})/[0-9A-Za-z]{{{NAME_LENGTH}}}\.({'|'.join(CONTENT_TYPES)})")


@dataclass(frozen=True, kw_only=True)
class StoredImage:
    """The metadata of a stored image. The bytes at a path never change, so the path identifies the version."""

    path: str
    num_bytes: int
    content_type: str
    stored_at: datetime
    expires_at: datetime | None


class ImageWriter(Protocol):
    """The writing side of an image store."""

    async def put(self, data: bytes, *, content_type: str, extension: str) -> str:
        """Store durably and return the path. Raises Overloaded when there is no room."""

    async def delete(self, path: str) -> None:
        """Delete an image; a missing one is no error."""


class ImageStore(ImageWriter, Protocol):
    """Keeps encoded images at unguessable paths for a limited time."""

    async def start(self) -> None:
        """Prepare the store; call this before `put`."""

    async def find(self, path: str) -> StoredImage:
        """Describe an image. Raises NotFound, or Gone after its lifetime."""

    async def read(self, path: str, *, start: int = 0, num_bytes: int | None = None) -> bytes:
        """Read an image or a range of it. Raises NotFound, or Gone after its lifetime."""

    async def presigned_link(self, image: StoredImage) -> str | None:
        """Return a link that reads an image past this server until it expires; None if the store gives none out."""

    async def delete_expired(self) -> int:
        """Delete every expired image; return their number."""

    async def check_writable(self) -> None:
        """Raise Overloaded unless the store accepts a write."""


def sample_path(now: datetime, *, extension: str) -> str:
    """Sample an unguessable path for an image stored now."""
    name = "".join(secrets.choice(_ALPHABET) for _ in range(NAME_LENGTH))
    return f"{PATH_PREFIX}/{int(now.timestamp()):08x}/{name}.{extension}"


def describe_path(path: str, *, lifetime: timedelta | None) -> tuple[datetime, datetime | None, str]:
    """Return when the image was stored, when it expires, and its content type. Raises NotFound for an invalid path."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise NotFound("There is no such file.")
    stored_at = datetime.fromtimestamp(int(match[1], 16), UTC)
    return stored_at, None if lifetime is None else stored_at + lifetime, CONTENT_TYPES[match[2]]


def check_alive(path: str, *, now: datetime, lifetime: timedelta | None) -> None:
    """Raise NotFound for an invalid path, Gone for an expired one."""
    stored_at, expires_at, _ = describe_path(path, lifetime=lifetime)
    if stored_at < FIRST_POSSIBLE_TIME:
        raise NotFound("There is no such file.")
    if expires_at is not None and now >= expires_at:
        raise Gone


def is_expired(folder: str, *, now: datetime, lifetime: timedelta | None) -> bool:
    """Tell from the eight hex digits of a path whether its images have expired."""
    if lifetime is None or re.fullmatch(r"[0-9a-f]{8}", folder) is None:
        return False
    return datetime.fromtimestamp(int(folder, 16), UTC) + lifetime <= now
