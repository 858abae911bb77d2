"""Keys, scopes and rates of callers."""

import asyncio

import pytest
from unit.api.calls import PATH, VALID


@pytest.mark.parametrize("settings", [{"requests_per_minute": 1}], indirect=True)
async def test_a_key_over_its_rate_is_told_when_to_come_back(client, body):
    assert (await client.post(PATH, json=body())).status_code == 200
    response = await client.post(PATH, json=body())
    assert (response.status_code, response.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(response.headers["Retry-After"]) <= 120
    assert response.headers["x-ratelimit-remaining-requests"] == "0"


async def test_an_api_key_may_not_administer_keys(client):
    for method, path in (("GET", "/v1/keys"), ("POST", "/v1/keys"), ("DELETE", "/v1/keys/00000000")):
        response = await client.request(method, path)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "missing_scope")


async def test_a_key_without_the_scope_may_not_draw(manager, body):
    secret = (await manager.post("/v1/keys", json={"name": "reader", "scopes": []})).json()["data"]["key"]
    response = await manager.post(PATH, json=body(), headers={"Authorization": f"Bearer {secret}"})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "missing_scope")


@pytest.mark.usefixtures("nothing_is_drawn")
async def test_no_valid_key_is_a_401(anonymous):
    for authorization in (None, "", "Bearer", "Bearer ", "Bearer " + "0" * 32, "Bearer x", "Basic eDp5", "Bearer ä"):
        headers = [] if authorization is None else [(b"Authorization", authorization.encode())]
        response = await anonymous.post(PATH, json=VALID, headers=headers)
        answer = response.json()
        assert (response.status_code, answer["error"]["code"]) == (401, "invalid_api_key"), authorization
        assert answer["message"].startswith("This request requires a valid API key.")
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("settings", [{"reads_per_minute": 2, "requests_per_minute": 1}], indirect=True)
async def test_what_a_key_reads_counts_apart_from_what_it_draws(client, body):
    response = await client.get("/v1/key")
    assert response.headers["RateLimit-Policy"] == '"reads";q=2;w=60'
    assert (await client.get(f"{PATH}/{'0' * 21}")).status_code == 404
    refused = await client.get("/v1/billing/balance")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert "2 reads a minute" in refused.json()["message"]
    drawn = await client.post(PATH, json=body())
    assert (drawn.status_code, drawn.headers["RateLimit-Policy"]) == (200, '"requests";q=1;w=60')


@pytest.mark.parametrize("settings", [{"max_concurrent_requests": 1}], indirect=True)
async def test_a_read_runs_until_its_response_is_sent(http, body, engine):
    engine.gate.clear()
    job_id = (await http.post(PATH, json=body(), headers={"Prefer": "respond-async"})).json()["id"]
    async with http.stream("GET", f"{PATH}/{job_id}/events") as following:
        assert following.status_code == 200
        refused = await http.get("/v1/key")
        assert (refused.status_code, "1 reads at once" in refused.json()["message"]) == (429, True)
    for _ in range(100):
        if (await http.get("/v1/key")).status_code == 200:
            break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the read that ended still counts")
    engine.gate.set()
