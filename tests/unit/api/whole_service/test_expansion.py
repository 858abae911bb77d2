"""Prompt expansion through the whole service: what is drawn, what is told, what is stored and what is refused."""

import json

import pytest
from unit.api.calls import PATH

from danqing.database import Database
from danqing.engine.interface import EngineCrashed
from danqing.jobs import lifecycle

GIVEN = "enable_prompt_expansion: the prompt was drawn as given. "


async def test_the_model_itself_rewrites_the_prompt_and_the_answer_says_how(client, engine, body):
    engine.caption = "a large red square on a white wall,"
    response = await client.post(PATH, json=body(enable_prompt_expansion=True, seed=7, n=2))
    assert response.status_code == 200, response.text
    answer = response.json()
    expected = "a large red square on a white wall, 7"
    assert [image["revised_prompt"] for image in answer["data"]] == [expected, expected]
    assert [expansion.caption for expansion in engine.expansions] == [expected]
    assert answer["meta"]["warnings"] == []


async def test_a_stream_tells_the_rewritten_prompt_with_its_picture(client, engine, body):
    engine.caption = "a large red square,"
    response = await client.post(PATH, json=body(enable_prompt_expansion=True, seed=7, stream=True))
    (data,) = [line.removeprefix("data: ") for line in response.text.splitlines() if '"b64_json"' in line]
    assert json.loads(data)["revised_prompt"] == "a large red square, 7"


async def test_the_rewritten_prompt_is_kept_with_the_job(client, engine, body, settings):
    engine.caption = "a large red square,"
    response = await client.post(PATH, json=body(enable_prompt_expansion=True, seed=7))
    database = Database(settings.database_location)
    with database.read() as conn:
        job = lifecycle.get(conn, response.headers["x-inference-id"])
    database.close()
    assert (job.request.prompt, job.expanded_prompt) == (body()["prompt"], "a large red square, 7")


async def test_nothing_is_rewritten_unless_asked(client, engine, body):
    engine.caption = "a large red square,"
    answer = (await client.post(PATH, json=body())).json()
    assert (engine.requests[0].prompt, engine.expansions) == (body()["prompt"], [None])
    assert "revised_prompt" not in answer["data"][0]


async def test_a_rewritten_prompt_that_is_refused_is_neither_drawn_nor_charged(client, engine, body):
    engine.caption = "a naked child"
    response = await client.post(PATH, json=body(enable_prompt_expansion=True))
    assert response.status_code == 400
    assert response.json()["error"]["code"] == "moderation_blocked"
    assert response.headers.get("x-aimlapi-credits-used", "0") == "0"
    assert engine.requests == []


async def test_a_checkpoint_that_cannot_write_draws_the_prompt_as_given_and_says_why(client, engine, body):
    answer = (await client.post(PATH, json=body(enable_prompt_expansion=True))).json()
    assert answer["meta"]["warnings"] == [f"{GIVEN}It draws only."]
    assert (engine.requests[0].prompt, engine.expansions) == (body()["prompt"], [None])
    assert "revised_prompt" not in answer["data"][0]


async def test_a_crash_while_writing_does_not_cost_the_picture(client, engine, body):
    engine.caption = EngineCrashed("The engine process ended unexpectedly.")
    response = await client.post(PATH, json=body(enable_prompt_expansion=True))
    assert response.status_code == 200
    assert response.json()["meta"]["warnings"] == [f"{GIVEN}The engine process ended unexpectedly."]


@pytest.mark.parametrize("settings", [{"expander": "none"}], indirect=True)
async def test_a_server_told_not_to_expand_does_not_ask_the_model(client, engine, body):
    engine.caption = "a large red square,"
    answer = (await client.post(PATH, json=body(enable_prompt_expansion=True))).json()
    assert answer["meta"]["warnings"] == [f"{GIVEN}This server has no prompt expander."]
    assert (engine.requests[0].prompt, engine.expansions) == (body()["prompt"], [None])
