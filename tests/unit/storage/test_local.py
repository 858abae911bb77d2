"""Pictures in a folder: durable, unguessable, mortal."""

import errno
import os
import stat
from datetime import timedelta

import pytest

from danqing.errors import Gone, NotFound, Overloaded
from danqing.storage import local
from danqing.storage.local import LocalImageStore

LIFETIME = timedelta(hours=1)


@pytest.fixture
async def store(tmp_path, clock):
    store = LocalImageStore(tmp_path, lifetime=LIFETIME, clock=clock)
    await store.start()
    return store


async def put(store, data=b"picture"):
    return await store.put(data, content_type="image/png", extension="png")


async def test_a_picture_is_stored_under_an_unguessable_path_and_read_back_whole_or_in_pieces(store, clock):
    path = await put(store)
    assert path != await put(store)
    prefix, folder, name = path.rsplit("/", 2)
    assert (prefix, folder, len(name)) == ("files/b", f"{int(clock().timestamp()):08x}", 25)
    assert await store.read(path) == b"picture"
    assert await store.read(path, start=1, num_bytes=3) == b"ict"
    found = await store.find(path)
    assert (found.num_bytes, found.content_type) == (7, "image/png")
    assert found.stored_at == clock()
    assert found.expires_at == clock() + LIFETIME


async def test_nobody_but_the_own_user_can_list_or_read_what_is_stored(tmp_path, clock):
    former_mask = os.umask(0o022)
    try:
        store = LocalImageStore(tmp_path / "data" / "images", lifetime=LIFETIME, clock=clock)
        await store.start()
        await put(store)
        await store.check_writable()
    finally:
        os.umask(former_mask)
    for path in (tmp_path / "data" / "images").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


async def test_nothing_unfinished_is_left_beside_the_picture(store, tmp_path):
    await put(store)
    assert list((tmp_path / "unfinished").iterdir()) == []


async def test_a_full_disk_is_overloaded_and_leaves_nothing(store, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(local.os, "fsync", full)
    with pytest.raises(Overloaded, match="no room"):
        await put(store)
    with pytest.raises(Overloaded):
        await store.check_writable()
    assert [file for file in tmp_path.rglob("*.png") if file.is_file()] == []


async def test_another_fault_of_the_disk_stays_what_it_is(store, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(local.os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        await put(store)


async def test_the_end_of_the_lifetime_is_gone_even_after_the_clean_up(store, clock, tmp_path):
    old = await put(store)
    clock.advance(minutes=30)
    young = await put(store)
    clock.advance(minutes=30)
    for _ in range(2):
        with pytest.raises(Gone):
            await store.find(old)
        with pytest.raises(Gone):
            await store.read(old)
        num_deleted = await store.delete_expired()
    assert num_deleted == 0
    assert not (tmp_path / old).exists()
    assert await store.read(young) == b"picture"


async def test_without_a_lifetime_nothing_ends(tmp_path, clock):
    store = LocalImageStore(tmp_path, lifetime=None, clock=clock)
    await store.start()
    path = await put(store)
    clock.advance(days=4000)
    assert await store.delete_expired() == 0
    assert (await store.find(path)).expires_at is None


async def test_what_was_never_stored_is_not_found(store):
    for path in (
        "files/b/0a8a7b4c/371avBpG23C3CoYzHJXB5.png",
        "files/b/ffffffff/371avBpG23C3CoYzHJXB5.png",
        "files/b/6a1b2c3d/../../danqing.db",
        "/etc/passwd",
        "",
    ):
        with pytest.raises(NotFound):
            await store.find(path)
        with pytest.raises(NotFound):
            await store.read(path)


async def test_deleting_twice_is_no_error(store):
    path = await put(store)
    await store.delete(path)
    await store.delete(path)
    with pytest.raises(NotFound):
        await store.find(path)


async def test_the_clean_up_takes_what_a_crash_left_long_ago_and_spares_what_is_being_written(store, tmp_path, clock):
    old, young = tmp_path / "unfinished" / "old.png", tmp_path / "unfinished" / "young.png"
    for file, age_seconds in ((old, 7200), (young, 60)):
        file.write_bytes(b"half")
        moment = clock().timestamp() - age_seconds
        os.utime(file, (moment, moment))
    assert await store.delete_expired() == 0
    assert not old.exists()
    assert young.exists()
