"""Ids, headers and unexpected errors of every request."""

import asyncio
import json

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


@pytest.mark.parametrize("settings", [{"max_connections": 32}], indirect=True)
async def test_above_the_limit_of_requests_only_liveness_checks_are_served(http, body, engine):
    engine.gate.clear()
    waiting = [asyncio.create_task(http.post(PATH, json=body(num_inference_steps=1))) for _ in range(16)]
    await asyncio.wait_for(engine.begun.wait(), 20)
    for _ in range(400):
        refused = await http.get("/v1/models")
        if refused.status_code != 200:
            break
        await asyncio.sleep(0.01)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert (refused.headers["connection"], refused.headers["x-should-retry"]) == ("close", "true")
    assert (await http.get("/healthz")).status_code == 200
    engine.gate.set()
    assert {response.status_code for response in await asyncio.gather(*waiting)} == {200}
    assert (await http.get("/v1/models")).status_code == 200


async def test_a_request_that_the_server_gives_up_gets_the_error_body(app, key, body, engine):
    engine.gate.clear()
    sent = []

    messages = asyncio.Queue()
    messages.put_nowait({"type": "http.request", "body": json.dumps(body()).encode(), "more_body": False})

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(), "headers": headers}
    scope |= {"query_string": b"", "http_version": "1.1", "scheme": "http", "server": ("x", 80), "root_path": ""}
    serving = asyncio.create_task(app(scope, messages.get, send))
    await asyncio.wait_for(engine.begun.wait(), 20)
    serving.cancel()
    await asyncio.wait_for(serving, 20)
    content = json.loads(sent[1]["body"])
    assert (sent[0]["status"], content["error"]["code"]) == (503, "overloaded")
    assert content["error"]["message"] == "The server is shutting down."
    engine.gate.set()
