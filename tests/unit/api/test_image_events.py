"""Events of running jobs behind a real socket."""

import base64

from unit.api.calls import PATH, events_of

from danqing.engine.interface import EngineCrashed


async def test_a_stream_brings_partial_images_and_then_each_completed_one(http, body):
    request = body(stream=True, partial_images=2, num_images=2, num_inference_steps=28, seed=5)
    async with http.stream("POST", PATH, json=request, headers={"Accept": "application/json"}) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert len(response.headers["x-inference-id"]) == 21
        events = await events_of(response)
    partials = [data for name, data in events if name == "image_generation.partial_image"]
    completed = [data for name, data in events if name == "image_generation.completed"]
    assert [name for name, _ in events] == ["image_generation.partial_image"] * 4 + ["image_generation.completed"] * 2
    assert [(data["image_index"], data["partial_image_index"]) for data in partials] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [(data["image_index"], data["seed"], data["size"]) for data in completed] == [
        (0, 5, "64x64"),
        (1, 6, "64x64"),
    ]
    for data in partials + completed:
        assert base64.b64decode(data["b64_json"]).startswith(b"\x89PNG")
        assert (data["quality"], data["background"], data["output_format"]) == ("auto", "opaque", "png")
        assert not data.get("error")
    assert completed[0]["usage"]["total_tokens"] == 0
    assert completed[1]["meta"]["usage"] == {"credits_used": 420_000, "usd_spent": 0.21}


async def test_a_failure_midway_is_an_error_event(http, body, engine):
    engine.error = EngineCrashed()
    async with http.stream("POST", PATH, json=body(stream=True)) as response:
        events = await events_of(response)
    name, data = events[-1]
    assert (name, data["type"]) == ("error", "error")
    assert {"message", "type", "code", "param"} <= data["error"].keys()
    assert data["error"]["code"] == "engine_crashed"
