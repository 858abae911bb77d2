"""What images are drawn with where a request names nothing: one set of defaults, from the edge to the response."""

import json

import pytest
from tiny_checkpoints import PARITY
from unit.api.calls import MODEL, PATH, events_of

SHORT = {"model": MODEL, "prompt": "a red fox", "seed": 7, "image_size": {"width": 64, "height": 64}}
DISTIL = {"model": PARITY / "distil"}


async def test_the_documented_defaults_are_used_and_reported(client, engine):
    answer = (await client.post(PATH, json=SHORT)).json()
    assert answer["meta"]["parameters"] == {
        "num_images": 1,
        "seed": 7,
        "image_size": {"width": 64, "height": 64},
        "num_inference_steps": 28,
        "guidance_scale": 7.5,
        "step_reuse": "none",
    }
    assert (engine.requests[0].num_inference_steps, engine.requests[0].guidance_scale) == (28, 7.5)


@pytest.mark.parametrize("settings", [DISTIL], indirect=True)
async def test_the_defaults_of_a_distilled_checkpoint_are_used_reported_and_listed(client, engine):
    answer = (await client.post(PATH, json={**SHORT, "num_inference_steps": None})).json()
    used = answer["meta"]["parameters"]
    assert (used["num_inference_steps"], used["guidance_scale"]) == (8, 2.5)
    assert (engine.requests[0].num_inference_steps, engine.requests[0].guidance_scale) == (8, 2.5)
    (model,) = (await client.get("/v1/models")).json()["data"]
    assert model["info"]["defaults"] == {"num_inference_steps": 8, "guidance_scale": 2.5, "step_reuse": "none"}


@pytest.mark.parametrize("settings", [DISTIL], indirect=True)
async def test_fields_that_the_request_names_are_obeyed_even_if_they_equal_the_documented_defaults(client, engine):
    named = {"num_inference_steps": 28, "guidance_scale": 7.5}
    answer = (await client.post(PATH, json={**SHORT, **named})).json()
    assert named.items() <= answer["meta"]["parameters"].items()
    assert (engine.requests[0].num_inference_steps, engine.requests[0].guidance_scale) == (28, 7.5)


@pytest.mark.parametrize("settings", [DISTIL], indirect=True)
async def test_a_key_tells_the_checkpoints_defaults_from_the_documented_ones(client):
    headers = {"Idempotency-Key": "k"}
    assert (await client.post(PATH, json=SHORT, headers=headers)).status_code == 200
    same = await client.post(PATH, json={**SHORT, "num_inference_steps": 8}, headers=headers)
    assert same.headers["Idempotent-Replayed"] == "true"
    other = await client.post(PATH, json={**SHORT, "num_inference_steps": 28}, headers=headers)
    assert other.status_code == 422


@pytest.mark.parametrize("settings", [DISTIL], indirect=True)
async def test_a_negative_prompt_that_cannot_act_is_warned_of(client, engine):
    answer = (await client.post(PATH, json={**SHORT, "negative_prompt": "fog"})).json()
    (warning,) = answer["meta"]["warnings"]
    assert warning.startswith("negative_prompt: has no effect")
    assert engine.requests[0].negative_prompt == "fog"


async def test_the_size_that_the_model_chose_is_reported(client):
    answer = (await client.post(PATH, json={"model": MODEL, "prompt": "a fox", "size": "auto"})).json()
    assert answer["meta"]["parameters"]["image_size"] == {"width": 1024, "height": 1024}


async def test_a_stream_and_a_job_report_them_too(client):
    streamed = await events_of(await client.post(PATH, json={**SHORT, "stream": True}))
    assert streamed[-1][1]["meta"]["parameters"]["num_inference_steps"] == 28
    job = (await client.post(PATH, json=SHORT, headers={"Prefer": "respond-async"})).json()
    events = await client.get(f"{PATH}/{job['id']}/events")
    finished = [line for line in events.text.splitlines() if '"image_generation.finished"' in line and "data" in line]
    assert json.loads(finished[-1].removeprefix("data: "))["meta"]["parameters"]["guidance_scale"] == 7.5


async def test_step_reuse_reaches_the_engine_and_is_named_in_meta_at_the_same_price(client, engine):
    full = (await client.post(PATH, json=SHORT)).json()["meta"]
    reused = (await client.post(PATH, json={**SHORT, "step_reuse": "third"})).json()["meta"]
    assert [request.step_reuse for request in engine.requests] == ["none", "third"]
    assert reused["engine"] == f"{full['engine']}, step reuse third"
    assert (reused["parameters"]["step_reuse"], reused["warnings"]) == ("third", [])
    assert reused["usage"] == full["usage"]


@pytest.mark.parametrize("settings", [{"default_step_reuse": "half"}], indirect=True)
async def test_the_settings_step_reuse_holds_for_requests_that_name_none(client, engine):
    (await client.post(PATH, json=SHORT)).raise_for_status()
    (await client.post(PATH, json={**SHORT, "step_reuse": "none"})).raise_for_status()
    assert [request.step_reuse for request in engine.requests] == ["half", "none"]
    (model,) = (await client.get("/v1/models")).json()["data"]
    assert model["info"]["defaults"]["step_reuse"] == "half"


@pytest.mark.parametrize("settings", [DISTIL], indirect=True)
async def test_a_step_reuse_that_cannot_act_is_warned_of_and_not_named_as_done(client, engine):
    meta = (await client.post(PATH, json={**SHORT, "step_reuse": "half"})).json()["meta"]
    (warning,) = meta["warnings"]
    assert warning.startswith("step_reuse: has no effect; this checkpoint is distilled")
    assert (engine.requests[0].step_reuse, meta["parameters"]["step_reuse"]) == ("none", "none")
    assert "step reuse" not in meta["engine"]
    (model,) = (await client.get("/v1/models")).json()["data"]
    assert "step_reuse" in model["info"]["without_effect"]


async def test_an_unknown_step_reuse_is_refused_by_name(client):
    response = await client.post(PATH, json={**SHORT, "step_reuse": "most"})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "step_reuse")
    assert "Expected 'none' | 'third' | 'half', received 'most'" in error["message"]


async def test_an_estimate_of_step_reuse_says_the_same(client):
    estimate = "/v1/images/estimate"
    few = (await client.post(estimate, json={**SHORT, "step_reuse": "half", "num_inference_steps": 4})).json()
    assert few["warnings"] == ["step_reuse: has no effect with fewer than 12 num_inference_steps"]
    assert few["cost"] == (await client.post(estimate, json=SHORT)).json()["cost"]
