"""Ids, headers and unexpected errors of every request."""

import pytest
from unit.api.calls import PATH


async def test_the_headers_name_the_request_and_its_cost(client, body):
    response = await client.post(
        PATH, json=body(), headers={"X-Client-Request-Id": "mine:1.2-3_4", "Origin": "http://x"}
    )
    assert len(response.headers["x-inference-id"]) == 21
    assert response.headers["x-request-id"] == response.headers["x-inference-id"]
    assert response.headers["x-client-request-id"] == "mine:1.2-3_4"
    assert response.headers["x-aimlapi-credits-used"] == "210000"
    assert response.headers["x-aimlapi-usd-spent"] == "0.105000000"
    assert response.headers["x-ratelimit-limit-requests"] == "6000"
    assert response.headers["RateLimit-Policy"] == '"requests";q=6000;w=60'
    exposed = {name.strip().lower() for name in response.headers["Access-Control-Expose-Headers"].split(",")}
    assert {"x-inference-id", "x-request-id", "x-client-request-id", "x-aimlapi-credits-used"} <= exposed
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_client_request_id_of_another_form_is_dropped_in_silence(client, body):
    for odd in ("a b", "x" * 129, "ä"):
        response = await client.post(PATH, json=body(), headers=[(b"X-Client-Request-Id", odd.encode())])
        assert response.status_code == 200
        assert "x-client-request-id" not in response.headers


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/nothing"])
async def test_every_answer_has_an_id(anonymous, path):
    response = await anonymous.get(path)
    assert len(response.headers["x-inference-id"]) == 21


async def test_a_fault_of_ours_is_a_500_in_the_same_form(client, app, monkeypatch):
    def broken() -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(app.state.services.engine, "status", broken)
    response = await client.get("/readyz")
    answer = response.json()
    assert (response.status_code, answer["error"]["code"]) == (500, "server_error")
    assert "on purpose" not in response.text
    assert answer["requestId"] == response.headers["x-inference-id"]


async def test_no_response_may_be_kept_or_guessed_at_unless_it_says_so(client, body):
    image = (await client.post(PATH, json=body())).json()["data"][0]
    kept = {"/v1/models": "public, max-age=300", "/": "no-cache", image["url"]: "immutable"}
    paths = ["/v1/key", "/v1/billing/balance", "/healthz", "/nothing", "/openapi.json", PATH]
    for path in [*kept, *paths]:
        response = await client.get(path)
        assert response.headers["x-content-type-options"] == "nosniff", path
        assert kept.get(path, "no-store") in response.headers["cache-control"], path
