"""Headers of a generation request: idempotency key, preferences, origin."""

import pytest
from unit.api.calls import PATH, VALID

from danqing.engine.interface import EngineState


@pytest.mark.parametrize(
    ("prefer", "every_steps"),
    [
        ("respond-async, previews=3", 2),
        ('respond-async; wait=5, Previews="3"', 2),
        ("respond-async, previews=50", 1),
        ("respond-async, previews=9999", 1),
        ("respond-async, previews=0", 0),
        ("respond-async, previews=many", 0),
        ("respond-async, previews=-1", 0),
        ("respond-async, previews", 0),
        ("previews=3", 0),
    ],
)
async def test_a_job_makes_as_many_previews_as_its_follower_prefers(client, engine, body, prefer, every_steps):
    answer = await client.post(PATH, json=body(num_inference_steps=8), headers={"Prefer": prefer})
    job_id = answer.headers["x-inference-id"]
    await client.get(f"{PATH}/{job_id}/events")
    assert engine.requests[0].preview_every_steps == every_steps


@pytest.mark.parametrize("prefer", ["", "respond-async"])
async def test_an_engine_that_will_never_start_refuses_every_request_for_good(client, engine, body, prefer):
    engine.state = EngineState.FAILED
    balance = (await client.get("/v1/billing/balance")).json()["balance"]
    response = await client.post(PATH, json=body(), headers={"Prefer": prefer})
    assert (response.status_code, response.headers["x-should-retry"]) == (503, "false")
    assert "retry-after" not in response.headers
    error = response.json()["error"]
    assert (error["code"], error["message"]) == ("engine_failed", "The engine cannot start: on purpose")
    assert (await client.get("/v1/billing/balance")).json()["balance"] == balance
    assert engine.requests == []


@pytest.mark.parametrize(("header", "origin"), [("playground", "playground"), ("moon", "api"), (None, "api")])
async def test_the_log_says_which_door_a_request_came_through(client, body, header, origin):
    headers = {} if header is None else {"X-Danqing-Origin": header}
    assert (await client.post(PATH, json=body(), headers=headers)).status_code == 200
    (line,) = (await client.get("/v2/logs?period=1d")).json()["data"]
    assert line["origin"] == origin


async def test_a_bad_idempotency_key_is_a_400_that_names_it(client):
    for key in ("", '""', "x" * 256, "a b", "ä"):
        response = await client.post(PATH, json=VALID, headers=[(b"Idempotency-Key", key.encode())])
        assert (response.status_code, response.json()["error"]["param"]) == (400, "Idempotency-Key"), key


async def test_an_idempotency_key_is_given_once(client):
    response = await client.post(PATH, json=VALID, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert (response.status_code, response.json()["error"]["param"]) == (400, "Idempotency-Key")
