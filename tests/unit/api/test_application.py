"""The web application as browsers of other origins and unknown paths meet it."""

import pytest
from unit.api.calls import PATH


async def test_a_browser_of_any_origin_may_ask(anonymous):
    headers = {
        "Origin": "https://elsewhere.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    response = await anonymous.options(PATH, headers=headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert "idempotency-key" in response.headers["access-control-allow-headers"]
    assert len(response.headers["x-inference-id"]) == 21


async def test_a_page_on_the_internet_may_ask_a_server_in_the_private_network(anonymous):
    headers = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
        "Access-Control-Request-Private-Network": "true",
    }
    response = await anonymous.options(PATH, headers=headers)
    assert (response.status_code, response.headers["access-control-allow-private-network"]) == (200, "true")


@pytest.mark.parametrize("settings", [{"public_url": "https://ai.example.org/danqing"}], indirect=True)
async def test_the_reference_sends_its_requests_below_the_path_of_the_public_url(anonymous):
    assert (await anonymous.get("/openapi.json")).json()["servers"] == [{"url": "/danqing"}]
