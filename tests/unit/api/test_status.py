"""The state of the server, for those who run it."""

from danqing.engine.interface import EngineState


async def test_the_status_names_engine_queue_and_defaults(manager, engine):
    assert (await manager.get("/v2/status")).json() == {
        "engine": {"state": "ready", "model": "fake (draws grey)", "detail": "on purpose"},
        "jobs": {"queued": 0, "running": 0, "accepting": True},
        "defaults": {"num_inference_steps": 28, "guidance_scale": 7.5, "step_reuse": "none"},
    }
    engine.state = EngineState.RESTARTING
    assert (await manager.get("/v2/status")).json()["engine"]["state"] == "restarting"


async def test_an_api_key_learns_nothing_of_it(client):
    response = await client.get("/v2/status")
    assert (response.status_code, response.json()["error"]["code"]) == (403, "missing_scope")
