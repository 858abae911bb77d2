"""Pictures in a bucket: the same promises as a folder, kept by an object store in memory."""

from datetime import timedelta

import pytest
from obstore.store import MemoryStore, S3Store

from danqing.errors import Gone, NotFound, Overloaded
from danqing.storage.bucket import BucketImageStore, open_bucket

LIFETIME = timedelta(hours=1)


@pytest.fixture
def store(clock):
    return BucketImageStore(MemoryStore(), lifetime=LIFETIME, clock=clock)


async def put(store, data=b"picture"):
    return await store.put(data, content_type="image/jpeg", extension="jpg")


async def test_a_picture_is_stored_described_and_read_back_whole_or_in_pieces(store, clock):
    path = await put(store)
    assert await store.read(path) == b"picture"
    assert await store.read(path, start=4) == b"ure"
    assert await store.read(path, start=1, num_bytes=3) == b"ict"
    found = await store.find(path)
    assert (found.num_bytes, found.content_type, found.expires_at) == (7, "image/jpeg", clock() + LIFETIME)
    await store.check_writable()


async def test_the_end_of_the_lifetime_is_gone_even_after_the_clean_up(store, clock):
    old = await put(store)
    clock.advance(minutes=30)
    young = await put(store)
    clock.advance(minutes=30)
    assert await store.delete_expired() == 1
    assert await store.delete_expired() == 0
    with pytest.raises(Gone):
        await store.find(old)
    with pytest.raises(Gone):
        await store.read(old)
    assert await store.read(young) == b"picture"


async def test_what_is_missing_is_not_found_and_may_be_deleted(store):
    path = await put(store)
    await store.delete(path)
    await store.delete(path)
    for missing in (path, "probe", "../x"):
        with pytest.raises(NotFound):
            await store.find(missing)
        with pytest.raises(NotFound):
            await store.read(missing)


async def test_a_bucket_that_cannot_be_reached_is_overloaded(clock):
    bucket = S3Store(
        "b",
        endpoint="http://127.0.0.1:9",
        access_key_id="x",
        secret_access_key="x",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
    )
    store = BucketImageStore(bucket, lifetime=LIFETIME, clock=clock)
    with pytest.raises(Overloaded, match="cannot be reached"):
        await put(store)
    with pytest.raises(Overloaded):
        await store.check_writable()


def test_a_url_names_bucket_and_prefix():
    bucket = open_bucket("s3://pictures/danqing")
    assert isinstance(bucket, S3Store)
    assert bucket.prefix == "danqing"
