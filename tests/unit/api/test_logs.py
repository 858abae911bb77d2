"""Logs as clients see them."""

import pytest
from unit.api.calls import MODEL, PATH

from danqing.engine.interface import EngineCrashed

ALIAS = MODEL.rpartition("/")[2]


@pytest.fixture
async def history(client, body, engine):
    """One request that succeeded and one that failed; their ids."""
    first = await client.post(PATH, json=body(), headers={"X-Client-Request-Id": "mine"})
    engine.error = EngineCrashed()
    second = await client.post(PATH, json=body(), headers={"X-Danqing-Origin": "playground"})
    return first.headers["x-inference-id"], second.headers["x-inference-id"]


async def test_logs_tell_every_finished_request_newest_first(client, history):
    failed, succeeded = (await client.get("/v2/logs")).json()["data"]
    assert (succeeded["inference_id"], failed["inference_id"]) == history
    assert (succeeded["status"], succeeded["cost"]) == ("succeeded", {"usd": 0.105, "credits": 210_000})
    assert (failed["status"], failed["cost"]) == ("failed", {"usd": 0, "credits": 0})
    assert (succeeded["error_code"], failed["error_code"]) == (None, "engine_crashed")
    assert (succeeded["origin"], failed["origin"]) == ("api", "playground")
    assert (succeeded["client_request_id"], failed["client_request_id"]) == ("mine", None)
    assert succeeded["request_id"] == succeeded["inference_id"]
    assert succeeded["tokens"] == {"input": 0, "output": 0, "total": 0}


async def test_pages_tell_where_they_are(client, history):
    first = (await client.get("/v2/logs?limit=1")).json()
    assert first["pagination"] == {"limit": 1, "offset": 0, "total": 2, "has_more": True}
    second = (await client.get("/v2/logs?limit=1&offset=1")).json()
    assert second["pagination"] == {"limit": 1, "offset": 1, "total": 2, "has_more": False}
    assert [page["data"][0]["inference_id"] for page in (first, second)] == list(history)[::-1]
    assert (await client.get("/v2/logs")).json()["pagination"]["limit"] == 50


@pytest.mark.parametrize(
    ("query", "num_shown"),
    [
        ("status=succeeded", 1),
        ("status=failed", 1),
        ("status=succeeded&status=failed", 2),
        (f"model={MODEL}", 2),
        (f"model={ALIAS}", 2),
        (f"model={ALIAS.upper()}", 0),
        (f"model=other&model={ALIAS}", 2),
        (f"model={MODEL},other", 0),
        ("model=%25", 0),
        ("&".join(f"model=m{index}" for index in range(50)), 0),
    ],
)
async def test_filters_repeat_and_a_comma_is_part_of_the_value(client, history, query, num_shown):
    assert (await client.get(f"/v2/logs?{query}")).json()["pagination"]["total"] == num_shown


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=succeeded,failed", "status"),
        ("status=completed", "status"),
        ("model=%00", "model"),
        ("&".join(f"model=m{index}" for index in range(51)), "model"),
    ],
)
async def test_a_bad_filter_is_named(client, query, named):
    response = await client.get(f"/v2/logs?{query}")
    assert (response.status_code, response.json()["error"]["data"][0]["path"][0]) == (400, named)


async def test_logs_answer_200_requests_a_minute(client):
    for _ in range(200):
        assert (await client.get("/v2/logs?limit=1")).status_code == 200
    response = await client.get("/v2/logs")
    assert (response.status_code, response.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    assert response.headers["x-ratelimit-limit-requests"] == "200"
    assert (await client.get("/v2/usage")).status_code == 200


async def test_a_management_key_reads_the_requests_of_all_keys(client, key, body, manager):
    second = (await manager.post("/v1/keys")).json()["data"]
    for secret in (key, second["key"]):
        await client.post(PATH, json=body(), headers={"Authorization": f"Bearer {secret}"})
    await manager.delete(f"/v1/keys/{second['prefix']}")
    rows = (await manager.get("/v2/logs?key_prefix=*")).json()["data"]
    assert [row["api_key_prefix"] for row in rows] == [second["prefix"], key[:8]]
    refused = await client.get("/v2/logs?key_prefix=*", headers={"Authorization": f"Bearer {key}"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "missing_scope")
