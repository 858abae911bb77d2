"""An image store in an S3-compatible bucket, for several servers or hosts. Needs the extra `s3`.

A bucket writes an object completely or not at all, so no reader sees an unfinished image.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store, from_url

from danqing.errors import NotFound, Overloaded
from danqing.storage.image_store import PATH_PREFIX, StoredImage, check_alive, describe_path, is_expired, sample_path

RETRY_TIMEOUT = timedelta(seconds=30)
MAX_RETRIES = 3
RETRY_AFTER_SECONDS = 30
# What S3 allows.
MAX_PRESIGNED = timedelta(days=7)
PROBE_PATH = "probe"


def open_bucket(url: str) -> ObjectStore:
    """Prepare access to `s3://bucket/prefix`; credentials and endpoint come from the usual `AWS_*` variables."""
    # Client options passed here would hide those variables. The client's default timeout is 30 seconds.
    return from_url(url, retry_config={"max_retries": MAX_RETRIES, "retry_timeout": RETRY_TIMEOUT})


class BucketImageStore:
    """An `ImageStore` in a bucket."""

    def __init__(
        self,
        bucket: ObjectStore,
        *,
        lifetime: timedelta | None,
        clock: Callable[[], datetime],
        presigned_links: bool = False,
    ) -> None:
        """Use `bucket`; images never expire if `lifetime` is None. `presigned_links` need a bucket that signs."""
        self._bucket = bucket
        self._lifetime = lifetime
        self._clock = clock
        self._presigned_links = presigned_links

    async def start(self) -> None:
        """Do nothing: a bucket needs no folders."""

    async def put(self, data: bytes, *, content_type: str, extension: str) -> str:
        """Store durably and return the path. Raises Overloaded when the bucket refuses."""
        path = sample_path(self._clock(), extension=extension)
        await self._put(path, data, content_type=content_type)
        return path

    async def find(self, path: str) -> StoredImage:
        """Describe an image. Raises NotFound, Gone after its lifetime, or Overloaded."""
        check_alive(path, now=self._clock(), lifetime=self._lifetime)
        stored_at, expires_at, content_type = describe_path(path, lifetime=self._lifetime)
        try:
            num_bytes = (await obstore.head_async(self._bucket, path))["size"]
        except FileNotFoundError:
            raise NotFound("There is no such file.") from None
        except BaseError as error:
            raise _unreachable() from error
        return StoredImage(
            path=path, num_bytes=num_bytes, content_type=content_type, stored_at=stored_at, expires_at=expires_at
        )

    async def read(self, path: str, *, start: int = 0, num_bytes: int | None = None) -> bytes:
        """Read an image or a range of it. Raises NotFound, Gone after its lifetime, or Overloaded."""
        check_alive(path, now=self._clock(), lifetime=self._lifetime)
        try:
            if num_bytes is not None:
                return bytes(await obstore.get_range_async(self._bucket, path, start=start, length=num_bytes))
            whole = await obstore.get_async(self._bucket, path)
            return bytes(await whole.bytes_async())[start:]
        except FileNotFoundError:
            raise NotFound("There is no such file.") from None
        except BaseError as error:
            raise _unreachable() from error

    async def presigned_link(self, image: StoredImage) -> str | None:
        """Return a link to the bucket that ends with the image's lifetime; None without presigned links."""
        if not self._presigned_links:
            return None
        lasts = MAX_PRESIGNED if image.expires_at is None else min(MAX_PRESIGNED, image.expires_at - self._clock())
        try:
            return await obstore.sign_async(cast("S3Store", self._bucket), "GET", image.path, lasts)
        except BaseError as error:
            raise _unreachable() from error

    async def delete(self, path: str) -> None:
        """Delete an image; a missing one is no error."""
        describe_path(path, lifetime=None)
        try:
            await obstore.delete_async(self._bucket, path)
        except FileNotFoundError:
            return

    async def delete_expired(self) -> int:
        """Delete every expired image; return their number."""
        expired = []
        async for page in obstore.list(self._bucket, PATH_PREFIX):
            for entry in page:
                folder = entry["path"].removeprefix(f"{PATH_PREFIX}/").partition("/")[0]
                if is_expired(folder, now=self._clock(), lifetime=self._lifetime):
                    expired.append(entry["path"])
        if expired:
            await obstore.delete_async(self._bucket, expired)
        return len(expired)

    async def check_writable(self) -> None:
        """Raise Overloaded unless the bucket accepts a write."""
        await self._put(PROBE_PATH, b"x", content_type="text/plain")

    async def _put(self, path: str, data: bytes, *, content_type: str) -> None:
        try:
            await obstore.put_async(self._bucket, path, data, attributes={"Content-Type": content_type})
        except (BaseError, OSError) as error:
            raise _unreachable() from error


def _unreachable() -> Overloaded:
    return Overloaded(
        "The image store cannot be reached; nothing was charged.", retry_after_seconds=RETRY_AFTER_SECONDS
    )
