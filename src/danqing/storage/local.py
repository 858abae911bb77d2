"""An image store in a local folder. Files are written under a temporary name, flushed to disk, then renamed."""

import asyncio
import errno
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from danqing.errors import NotFound, Overloaded
from danqing.storage.image_store import PATH_PREFIX, StoredImage, check_alive, describe_path, is_expired, sample_path

UNFINISHED_FOLDER = "unfinished"
NO_ROOM_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
NO_ROOM_RETRY_SECONDS = 60
LEFTOVER_SECONDS = 3600
# A link is the only way to a picture for everybody but the server's own user.
FOLDER_MODE = 0o700
FILE_MODE = 0o600


class LocalImageStore:
    """An `ImageStore` in a folder that one or more server processes share."""

    def __init__(self, root: Path, *, lifetime: timedelta | None, clock: Callable[[], datetime]) -> None:
        """Use `root`; images never expire if `lifetime` is None. `start` creates the folders."""
        self._root = root
        self._lifetime = lifetime
        self._clock = clock

    async def start(self) -> None:
        """Create the folders."""
        await asyncio.to_thread(self._start)

    async def put(self, data: bytes, *, content_type: str, extension: str) -> str:
        """Store durably and return the path. Raises Overloaded when there is no room."""
        path = sample_path(self._clock(), extension=extension)
        assert describe_path(path, lifetime=None)[2] == content_type
        await asyncio.to_thread(self._write, path, data)
        return path

    async def find(self, path: str) -> StoredImage:
        """Describe an image. Raises NotFound, or Gone after its lifetime."""
        check_alive(path, now=self._clock(), lifetime=self._lifetime)
        stored_at, expires_at, content_type = describe_path(path, lifetime=self._lifetime)
        try:
            num_bytes = (await asyncio.to_thread((self._root / path).stat)).st_size
        except FileNotFoundError:
            raise NotFound("There is no such file.") from None
        return StoredImage(
            path=path, num_bytes=num_bytes, content_type=content_type, stored_at=stored_at, expires_at=expires_at
        )

    async def read(self, path: str, *, start: int = 0, num_bytes: int | None = None) -> bytes:
        """Read an image or a range of it. Raises NotFound, or Gone after its lifetime."""
        check_alive(path, now=self._clock(), lifetime=self._lifetime)
        try:
            return await asyncio.to_thread(_read, self._root / path, start, num_bytes)
        except FileNotFoundError:
            raise NotFound("There is no such file.") from None

    async def presigned_link(self, image: StoredImage) -> str | None:  # noqa: ARG002
        """Return None: only this server reads the folder."""
        return None

    async def delete(self, path: str) -> None:
        """Delete an image; a missing one is no error."""
        describe_path(path, lifetime=None)
        await asyncio.to_thread((self._root / path).unlink, missing_ok=True)

    async def delete_expired(self) -> int:
        """Delete every expired image, and the unfinished files of a crash; return the number of images."""
        return await asyncio.to_thread(self._delete_expired)

    async def check_writable(self) -> None:
        """Raise Overloaded unless the folder accepts a write."""
        await asyncio.to_thread(self._write_probe)

    def _start(self) -> None:
        self._root.parent.mkdir(parents=True, exist_ok=True)
        files = self._root / PATH_PREFIX
        # One by one: `mkdir` gives its mode to the last folder alone.
        for folder in (self._root, files.parent, files, self._root / UNFINISHED_FOLDER):
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)

    def _write(self, path: str, data: bytes) -> None:
        target = self._root / path
        unfinished = self._root / UNFINISHED_FOLDER / target.name
        try:
            target.parent.mkdir(mode=FOLDER_MODE, exist_ok=True)
            _write_durably(unfinished, data)
            unfinished.replace(target)
            _flush_folder(target.parent)
        except OSError as error:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise _no_room(error) from error

    def _write_probe(self) -> None:
        probe = self._root / UNFINISHED_FOLDER / f"probe-{os.getpid()}"
        try:
            _write_durably(probe, b"x")
            probe.unlink(missing_ok=True)
        except OSError as error:
            raise _no_room(error) from error

    def _delete_expired(self) -> int:
        self._delete_leftovers()
        num_deleted = 0
        for folder in (self._root / PATH_PREFIX).iterdir():
            if is_expired(folder.name, now=self._clock(), lifetime=self._lifetime):
                num_deleted += len(list(folder.iterdir()))
                shutil.rmtree(folder, ignore_errors=True)
        return num_deleted

    def _delete_leftovers(self) -> None:
        oldest_in_use = self._clock().timestamp() - LEFTOVER_SECONDS
        for leftover in (self._root / UNFINISHED_FOLDER).iterdir():
            # A newer file may still be in use; a missing one was finished meanwhile.
            with suppress(FileNotFoundError):
                if leftover.stat().st_mtime < oldest_in_use:
                    leftover.unlink()


def _read(file: Path, start: int, num_bytes: int | None) -> bytes:
    with file.open("rb") as stream:
        stream.seek(start)
        return stream.read(-1 if num_bytes is None else num_bytes)


def _write_durably(file: Path, data: bytes) -> None:
    with open(file, "wb", opener=_private_opener) as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _private_opener(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def _flush_folder(folder: Path) -> None:
    # The rename survives a power cut only once the folder is flushed.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_room(error: OSError) -> Exception:
    if error.errno in NO_ROOM_ERRORS:
        return Overloaded(
            "The image store has no room left; nothing was charged.", retry_after_seconds=NO_ROOM_RETRY_SECONDS
        )
    return error
