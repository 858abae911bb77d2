"""The address that links begin with."""

import httpx
from unit.api.calls import PATH


async def test_the_links_follow_the_address_that_the_client_used(client, body):
    answer = (await client.post(PATH, json=body())).json()
    assert httpx.URL(answer["data"][0]["url"]).host == "danqing.test"
