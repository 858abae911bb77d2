"""Usage and logs as clients see them."""

from unit.api.calls import PATH

from danqing.engine.interface import EngineCrashed


async def test_usage_and_logs_tell_every_request(client, body, engine):
    first = await client.post(PATH, json=body(), headers={"X-Client-Request-Id": "mine"})
    engine.error = EngineCrashed()
    await client.post(PATH, json=body())
    (usage,) = (await client.get("/v2/usage?period=24h")).json()["data"]
    assert (usage["requests"], usage["by_status"]["completed"], usage["by_status"]["error"]) == (2, 1, 1)
    assert usage["cost"] == {"credits": 210_000, "usd": 0.105}
    logs = (await client.get("/v2/logs?period=7d&status=completed")).json()
    assert logs["pagination"]["total"] == 1
    (log,) = logs["data"]
    assert (log["inference_id"], log["client_request_id"]) == (first.headers["x-inference-id"], "mine")
    assert (log["origin"], log["status"]) == ("api", "completed")
