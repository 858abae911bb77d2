"""The address that links begin with."""

import httpx
import pytest
from unit.api.calls import PATH


async def test_the_links_follow_the_address_that_the_client_used(client, body):
    answer = (await client.post(PATH, json=body())).json()
    assert httpx.URL(answer["data"][0]["url"]).host == "danqing.test"


@pytest.mark.parametrize("settings", [{"public_url": "https://ai.example.org/danqing"}], indirect=True)
async def test_every_link_begins_with_the_public_url(client, body):
    image = (await client.post(PATH, json=body())).json()["data"][0]
    assert image["url"].startswith("https://ai.example.org/danqing/files/b/")
    accepted = await client.post(PATH, json=body(), headers={"Prefer": "respond-async"})
    location = accepted.headers["Location"]
    assert location == f"https://ai.example.org/danqing{PATH}/{accepted.json()['id']}"
    # The proxy may leave the path in.
    assert (await client.get(location.removeprefix("https://ai.example.org"))).status_code == 200
