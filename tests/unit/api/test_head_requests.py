"""HEAD on every route that answers GET."""

import asyncio

import pytest
from unit.api.calls import MODEL, PATH

OPEN = ["/", "/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/v1/models", f"/v1/models/{MODEL}"]
OPEN += ["/playground/main.js", "/playground/price.json", "/docs/reference.js"]
KEYED = ["/v1/key", "/v1/billing/balance", "/v2/billing", "/v2/billing/transactions", "/v2/usage", "/v2/logs"]


@pytest.mark.parametrize("path", OPEN + KEYED)
async def test_head_has_the_headers_of_get_and_no_body(client, path):
    got = await client.get(path)
    head = await client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
    for name in ("content-type", "etag", "cache-control"):
        assert head.headers.get(name) == got.headers.get(name), name


async def test_head_of_an_unknown_path_or_job_is_a_404(client):
    for path in ("/nothing", f"{PATH}/{'0' * 21}", "/files/b/0a8a7b4c/371avBpG23C3CoYzHJXB5.png"):
        head = await client.head(path)
        assert (head.status_code, head.content) == (404, b""), path


async def test_head_of_a_route_without_get_is_a_405_that_names_its_methods(client):
    head = await client.head(PATH)
    assert (head.status_code, head.headers["allow"]) == (405, "POST")


async def test_head_of_an_endless_stream_ends_at_its_headers(http, body, engine):
    engine.gate.clear()
    job_id = (await http.post(PATH, json=body(), headers={"Prefer": "respond-async"})).json()["id"]
    head = await asyncio.wait_for(http.head(f"{PATH}/{job_id}/events"), 10)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    job = await http.head(f"{PATH}/{job_id}")
    assert (job.status_code, job.content) == (200, b"")
    engine.gate.set()


async def test_the_metrics_count_head_as_head(client):
    await client.head("/healthz")
    assert 'http_requests_total{method="HEAD",route="/healthz",status="200"} 1.0' in (await client.get("/metrics")).text
