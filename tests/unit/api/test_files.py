"""Links to pictures: no key, caching, ranges, and their end."""

from datetime import timedelta

import pytest
from unit.api.calls import PATH


@pytest.fixture
async def link(client, body):
    url = (await client.post(PATH, json=body())).json()["data"][0]["url"]
    del client.headers["Authorization"]
    return url.removeprefix("http://danqing.test")


async def test_a_link_has_the_promised_form_and_headers(client, link):
    response = await client.get(link)
    _, files, b, folder, name = link.split("/")
    assert (files, b, len(folder), len(name)) == ("files", "b", 8, len("371avBpG23C3CoYzHJXB5.png"))
    assert response.headers["content-type"] == "image/png"
    assert response.headers["access-control-allow-origin"] == "*"
    assert "max-age=6047" in response.headers["cache-control"]
    assert response.headers["accept-ranges"] == "bytes"
    assert response.content.startswith(b"\x89PNG")


async def test_head_tells_the_length_and_sends_nothing(client, link):
    whole = await client.get(link)
    head = await client.head(link)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert head.headers["etag"] == whole.headers["etag"]


async def test_who_has_the_picture_is_not_sent_it_again(client, link):
    etag = (await client.get(link)).headers["etag"]
    response = await client.get(link, headers={"If-None-Match": f'"other", W/{etag}'})
    assert (response.status_code, response.content) == (304, b"")


async def test_ranges(client, link):
    whole = (await client.get(link)).content
    size = len(whole)
    for asked, start, end in (
        ("bytes=0-9", 0, 10),
        ("bytes=10-", 10, size),
        ("bytes=-5", size - 5, size),
        (f"bytes=5-{size * 2}", 5, size),
        (f"bytes=-{size * 2}", 0, size),
    ):
        response = await client.get(link, headers={"Range": asked})
        assert (response.status_code, response.content) == (206, whole[start:end]), asked
        assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    for ignored in ("bytes=0-1,4-5", "bytes=9-5", "bytes=-", "lines=1-2", "bytes=x-y"):
        response = await client.get(link, headers={"Range": ignored})
        assert (response.status_code, response.content) == (200, whole), ignored
    for beyond in (f"bytes={size}-", "bytes=-0"):
        response = await client.get(link, headers={"Range": beyond})
        assert response.status_code == 416
        assert response.headers["content-range"] == f"bytes */{size}"
    changed = await client.get(link, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert changed.status_code == 200


async def test_an_unknown_file_is_a_404(client, link):
    for path in (
        "/files/b/0a8a7b4c/371avBpG23C3CoYzHJXB5.png",
        link[:-5] + ("y" if link[-5] == "x" else "x") + ".png",
        "/files/b/ffffffff/371avBpG23C3CoYzHJXB5.png",
        "/files/b/x/y",
        "/files/b/..%2f..%2f/danqing.db",
        "/files/b/%00/%00",
    ):
        response = await client.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found"), path


async def test_a_file_past_its_lifetime_is_a_410_before_and_after_it_is_deleted(client, link, app):
    store = app.state.services.store
    present = store._clock
    store._clock = lambda: present() + timedelta(days=8)
    for _ in range(2):
        response = await client.get(link)
        assert (response.status_code, response.json()["error"]["code"]) == (410, "gone")
        await store.delete_expired()
