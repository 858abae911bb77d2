"""The limits of an API key over three servers of one database."""

import asyncio
from contextlib import AsyncExitStack

import httpx
from unit.api.conftest import FakeEngine

from danqing.app import create_app
from danqing.first_start import prepare
from danqing.safety.image_check import NoImageCheck
from danqing.settings import Settings

BODY = {"model": "hunyuan/hunyuan-image-v3-text-to-image", "prompt": "A brown dog.", "size": "64x64"}


async def test_a_limit_of_ten_a_minute_is_ten_in_all(empty_database_url, tmp_path, clock):
    settings = Settings(data_dir=tmp_path, database_url=empty_database_url, requests_per_minute=10)
    secret = prepare(settings).key.secret
    async with AsyncExitStack() as stack:
        clients = []
        for _ in range(3):
            # A clock that stands still: the bucket refills with time.
            app = create_app(settings, engine=FakeEngine(), image_check=NoImageCheck(), clock=clock)
            await stack.enter_async_context(app.router.lifespan_context(app))
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app),
                base_url="http://danqing.test",
                headers={"Authorization": f"Bearer {secret}"},
            )
            clients.append(await stack.enter_async_context(client))
        responses = await asyncio.gather(
            *(client.post("/v1/images/generations", json=BODY) for client in clients for _ in range(6))
        )
    assert sorted(response.status_code for response in responses) == [200] * 10 + [429] * 8
    admitted = [int(r.headers["x-ratelimit-remaining-requests"]) for r in responses if r.status_code == 200]
    assert sorted(admitted) == list(range(10))
    refused = next(response for response in responses if response.status_code == 429)
    assert (refused.headers["Retry-After"], refused.headers["RateLimit"]) == ("6", '"requests";r=0;t=60')
