"""Pictures in a running S3 server, over HTTP."""

import warnings
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from unit.api.conftest import FakeEngine

from danqing.app import create_app
from danqing.errors import NotFound
from danqing.first_start import prepare
from danqing.safety.image_check import NoImageCheck
from danqing.settings import Settings
from danqing.storage.bucket import BucketImageStore, open_bucket

LIFETIME = timedelta(hours=1)
BODY = {"model": "hunyuan/hunyuan-image-v3-text-to-image", "prompt": "A brown dog.", "image_size": "square"}


def utc_now():
    return datetime.now(UTC)


@pytest.fixture
def s3_url(monkeypatch):
    """The URL of an empty bucket; the server and its credentials are in the usual variables."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from moto.server import ThreadedMotoServer
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    httpx.put(f"{endpoint}/pictures").raise_for_status()
    for name, value in {
        "AWS_ENDPOINT": endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield "s3://pictures/danqing"
    server.stop()


async def test_a_picture_is_written_described_read_in_pieces_and_deleted(s3_url):
    store = BucketImageStore(open_bucket(s3_url), lifetime=LIFETIME, clock=utc_now)
    await store.check_writable()
    path = await store.put(b"picture", content_type="image/png", extension="png")
    assert (await store.find(path)).num_bytes == 7
    assert await store.read(path) == b"picture"
    assert await store.read(path, start=1, num_bytes=3) == b"ict"
    assert await store.presigned_link(await store.find(path)) is None
    await store.delete(path)
    with pytest.raises(NotFound):
        await store.read(path)


async def test_a_presigned_link_reads_the_picture_from_the_bucket_and_ends_with_it(s3_url):
    store = BucketImageStore(open_bucket(s3_url), lifetime=LIFETIME, clock=utc_now, presigned_links=True)
    path = await store.put(b"picture", content_type="image/png", extension="png")
    link = await store.presigned_link(await store.find(path))
    lasts = int(httpx.URL(link).params["X-Amz-Expires"])
    assert LIFETIME.total_seconds() - 60 < lasts <= LIFETIME.total_seconds()
    response = httpx.get(link, headers={"Range": "bytes=1-3"})
    assert (response.status_code, response.content, response.headers["content-type"]) == (206, b"ict", "image/png")


@pytest.mark.parametrize("presigned", [False, True])
async def test_links_of_a_server_lead_to_the_same_bytes_with_and_without_redirects(s3_url, tmp_path, presigned):
    settings = Settings(data_dir=tmp_path, storage_url=s3_url, presigned_links=presigned)
    first = prepare(settings)
    app = create_app(settings, engine=FakeEngine(), image_check=NoImageCheck())
    headers = {"Authorization": f"Bearer {first.key.secret}"}
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as client:
        made = await client.post("http://danqing.test/v1/images/generations", json=BODY, headers=headers)
        link = made.raise_for_status().json()["data"][0]["url"]
        response = await client.get(link)
        assert response.status_code == (307 if presigned else 200)
        missing = await client.get(link[:-5] + "x.png")
        assert missing.status_code == 404
    if presigned:
        assert response.headers["cache-control"] == "no-store"
        response = httpx.get(response.headers["location"])
    assert response.content.startswith(b"\x89PNG")
