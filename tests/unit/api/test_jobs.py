"""Jobs that are fetched later."""

import asyncio

from unit.api.calls import PATH, events_of


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


async def test_an_unknown_job_is_a_404(client):
    for job_id in ("x", "%00" * 21, "0" * 21, "ä" * 21):
        for method in ("GET", "DELETE"):
            response = await client.request(method, f"{PATH}/{job_id}")
            assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found"), job_id
