"""One finished request in full, as clients and managers see it."""

import pytest
from unit.api.calls import PATH

from danqing.engine.interface import EngineCrashed


async def _details(client, response, **headers):
    return await client.get(f"/v2/logs/{response.headers['x-inference-id']}", headers=headers)


async def test_a_request_is_shown_with_all_parameters_timings_and_live_links(client, body):
    drawn = await client.post(PATH, json=body(num_images=2, seed=7, guidance_scale=3))
    data = (await _details(client, drawn)).json()["data"]
    assert data["parameters"] == {
        "prompt": "a red fox",
        "seed": 7,
        "negative_prompt": "",
        "num_images": 2,
        "num_inference_steps": 4,
        "guidance_scale": 3,
        "step_reuse": "none",
        "enable_safety_checker": True,
        "enable_prompt_expansion": False,
        "output_format": "png",
        "output_compression": None,
        "image_size": {"width": 64, "height": 64},
    }
    assert [image["url"] for image in data["images"]] == [image["url"] for image in drawn.json()["data"]]
    assert [image["seed"] for image in data["images"]] == [7, 8]
    timings = data["timings"]
    assert timings["expand"] is None
    assert all(timings[part] >= 0 for part in ("queue", "draw", "check", "store"))
    assert timings["total"] >= timings["queue"]
    assert (data["engine"], data["error"], data["cost"]["credits"]) == ("fake (draws grey)", None, 420_000)


async def test_the_time_of_an_expansion_is_shown_with_its_text(client, body, engine):
    engine.caption = "a red fox in the snow"
    drawn = await client.post(PATH, json=body(seed=7, enable_prompt_expansion=True, size="auto"))
    data = (await _details(client, drawn)).json()["data"]
    assert data["revised_prompt"] == "a red fox in the snow 7"
    assert data["timings"]["expand"] >= 0
    assert data["parameters"]["image_size"] == "auto"


async def test_a_failed_request_shows_the_error_as_its_client_saw_it(client, body, engine):
    engine.error = EngineCrashed()
    failed = await client.post(PATH, json=body())
    data = (await _details(client, failed)).json()["data"]
    assert data["error"] == {"status": failed.status_code, "error": failed.json()["error"]}
    assert (data["images"], data["status"], data["timings"]["draw"]) == ([], "failed", None)


async def test_a_request_that_the_limit_refuses_is_in_the_logs_and_costs_nothing(client, body, manager):
    made = (await manager.post("/v1/keys", json={"limit": {"retention": "day", "threshold": 0.105}})).json()["data"]
    own = {"Authorization": f"Bearer {made['key']}"}
    assert (await client.post(PATH, json=body(), headers=own)).status_code == 200
    refused = await client.post(PATH, json=body(webhook_url="https://example.com/hook"), headers=own)
    assert refused.status_code == 403
    newest = (await client.get(f"/v2/logs?key_prefix={made['prefix']}")).json()["data"][0]
    assert (newest["error_code"], newest["cost"]["credits"]) == ("spend_limit_reached", 0)
    data = (await _details(client, refused)).json()["data"]
    assert data["error"] == {"status": 403, "error": refused.json()["error"]}
    assert (data["timings"]["queue"], data["started"]) == (None, None)
    usage = (await client.get(f"/v2/usage/detail?group_by=key&key_prefix={made['prefix']}")).json()
    assert usage["groups"][0]["requests"] == {"total": 2, "charged": 1, "succeeded": 1, "failed": 1}


async def test_a_key_sees_its_own_requests_and_a_management_key_those_of_the_account(client, key, body, manager):
    own = {"Authorization": f"Bearer {key}"}
    made = (await manager.post("/v1/keys")).json()["data"]
    drawn = await client.post(PATH, json=body(), headers=own)
    assert (await _details(client, drawn)).status_code == 200
    assert (await _details(client, drawn, **own)).status_code == 200
    other = await _details(client, drawn, Authorization=f"Bearer {made['key']}")
    assert (other.status_code, other.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("unknown", ["000000000000000000000", "x", "%00", "%F0%9F%A6%8A"])
async def test_an_unknown_request_is_not_found(client, unknown):
    response = await client.get(f"/v2/logs/{unknown}")
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


async def test_a_link_without_a_file_is_no_longer_shown(client, body, app):
    drawn = await client.post(PATH, json=body())
    url = drawn.json()["data"][0]["url"]
    await app.state.services.store.delete(url.removeprefix("http://danqing.test/"))
    (image,) = (await _details(client, drawn)).json()["data"]["images"]
    assert (image["url"], image["width"]) == (None, 64)


async def test_an_unfinished_request_is_not_in_the_logs(client, body, engine):
    engine.gate.clear()
    accepted = await client.post(PATH, json=body(), headers={"Prefer": "respond-async"})
    assert (await _details(client, accepted)).status_code == 404
    engine.gate.set()
