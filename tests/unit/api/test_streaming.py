"""Streams behind a real socket: OpenAI's events, a job's own events, and clients that hang up."""

import asyncio
import base64
import json

import httpx
import pytest

from danqing.engine.interface import EngineCrashed

PATH = "/v1/images/generations"


@pytest.fixture
async def http(server_url, key):
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=server_url, headers=headers, timeout=20) as client:
        yield client


async def events_of(response):
    """Parse server-sent events strictly: event line, data line, empty line."""
    text = (await response.aread()).decode()
    events = []
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        assert name.startswith("event: ")
        assert data.startswith("data: ")
        events.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return events


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


async def test_a_refusal_before_the_stream_is_an_ordinary_error(http, body):
    response = await http.post(PATH, json=body(stream=True, num_images=9))
    assert (response.status_code, response.json()["error"]["param"]) == (400, "num_images")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_hangs_up_frees_the_engine_and_pays_nothing(http, body, engine, stream):
    engine.gate.clear()
    request = asyncio.create_task(http.post(PATH, json=body(stream=stream)))
    await asyncio.wait_for(engine.begun.wait(), 5)
    request.cancel()
    await asyncio.wait_for(engine.closed.wait(), 2)
    for _ in range(100):
        logs = (await http.get("/v2/logs")).json()["data"]
        if logs[0]["status"] == "error":
            break
        await asyncio.sleep(0.02)
    assert (logs[0]["status"], logs[0]["error_code"], logs[0]["cost"]["credits"]) == ("error", "cancelled", 0)
    assert (await http.get("/v1/billing/balance")).json()["balance"] == 100_000_000


async def test_a_client_that_hangs_up_with_an_idempotency_key_can_come_back(http, body, engine):
    engine.gate.clear()
    headers = {"Idempotency-Key": "k"}
    request = asyncio.create_task(http.post(PATH, json=body(seed=3), headers=headers))
    await asyncio.wait_for(engine.begun.wait(), 5)
    request.cancel()
    await asyncio.sleep(0.1)
    in_flight = await http.post(PATH, json=body(seed=3), headers=headers)
    assert (in_flight.status_code, in_flight.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert in_flight.headers["x-should-retry"] == "true"
    engine.gate.set()
    for _ in range(100):
        answer = await http.post(PATH, json=body(seed=3), headers=headers)
        if answer.status_code == 200:
            break
        await asyncio.sleep(0.02)
    assert answer.json()["data"][0]["seed"] == 3
    assert len(engine.requests) == 1


async def test_respond_async_promises_and_keeps(http, body, engine):
    engine.gate.clear()
    promise = await http.post(PATH, json=body(webhook_url=None), headers={"Prefer": "respond-async, wait=5"})
    assert promise.status_code == 202
    job_id = promise.json()["id"]
    assert promise.json() == {"id": job_id, "status": "queued"}
    assert promise.headers["Location"] == f"{PATH}/{job_id}"
    assert promise.headers["x-inference-id"] == job_id
    assert int(promise.headers["Retry-After"]) >= 1
    await asyncio.wait_for(engine.begun.wait(), 5)
    assert (await http.get(promise.headers["Location"])).json()["status"] == "generating"
    following = asyncio.create_task(http.get(f"{PATH}/{job_id}/events"))
    await asyncio.sleep(0.1)
    engine.gate.set()
    events = await events_of(await following)
    assert [name for name, _ in events][-2:] == ["image_generation.image", "image_generation.finished"]
    assert events[0][1].items() >= {"type": "image_generation.progress", "step": 1, "num_steps": 4}.items()
    finished = await http.get(promise.headers["Location"])
    assert finished.json().items() >= {"id": job_id, "status": "completed"}.items()
    assert finished.json()["data"] == events[-1][1]["data"]
    assert finished.headers["x-aimlapi-credits-used"] == "210000"


async def test_a_promised_job_can_be_cancelled(http, body, engine):
    engine.gate.clear()
    promise = await http.post(PATH, json=body(), headers={"Prefer": "respond-async"})
    await asyncio.wait_for(engine.begun.wait(), 5)
    cancelled = await http.delete(promise.headers["Location"])
    assert cancelled.json()["status"] == "error"
    assert cancelled.json()["error"]["code"] == "cancelled"
    await asyncio.wait_for(engine.closed.wait(), 2)
    assert (await http.get(promise.headers["Location"])).json() == cancelled.json()


async def test_a_huge_body_is_answered_and_not_cut_off(http, body):
    response = await http.post(PATH, json=body(user="x" * 10_000_000))
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
