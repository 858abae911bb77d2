"""The generation endpoint, from a request to the image behind the link."""

import asyncio
import io

import pytest
from PIL import Image
from sqlalchemy import event
from unit.api.calls import PATH

from danqing.engine.interface import EngineCrashed


async def test_the_documented_request_gets_a_link_to_a_picture_of_the_documented_size(client, engine):
    response = await client.post(
        PATH,
        json={
            "model": "hunyuan/hunyuan-image-v3-text-to-image",
            "prompt": "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses.",
            "image_size": "landscape_16_9",
        },
    )
    answer = response.json()
    assert response.status_code == 200, answer
    assert answer["meta"]["usage"] == {"credits_used": 210_000, "usd_spent": 0.105}
    assert answer["meta"]["engine"] == "fake (draws grey)"
    assert answer["meta"]["safety"]["image_check"] == "none"
    (image,) = answer["data"]
    assert (image["width"], image["height"], image["content_type"]) == (1280, 768, "image/png")
    assert "b64_json" not in image
    request = engine.requests[0]
    assert (request.num_inference_steps, request.guidance_scale, request.num_images) == (28, 7.5, 1)
    del client.headers["Authorization"]
    picture = await client.get(image["url"])
    assert Image.open(io.BytesIO(picture.content)).size == (1280, 768)


async def test_jpeg_comes_as_jpeg(client, body):
    answer = (await client.post(PATH, json=body(output_format="jpeg", output_compression=80))).json()
    picture = await client.get(answer["data"][0]["url"])
    assert picture.headers["content-type"] == answer["data"][0]["content_type"] == "image/jpeg"
    assert Image.open(io.BytesIO(picture.content)).format == "JPEG"


async def test_a_failing_engine_is_a_500_that_costs_nothing(client, body, engine):
    engine.error = EngineCrashed()
    response = await client.post(PATH, json=body())
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "engine_crashed"
    assert response.headers["x-should-retry"] == "true"
    engine.error = None
    balance = (await client.get("/v1/billing/balance")).json()["balance"]
    assert balance == 100_000_000


async def test_a_disk_without_room_for_the_job_is_a_503_that_costs_nothing(client, body, app):
    database = app.state.services.database.engine
    database.dispose()

    def fill(connection, _):
        connection.execute("PRAGMA max_page_count = 1")

    event.listen(database, "connect", fill)
    # More than fits into the pages that the file has.
    response = await client.post(PATH, json=body(negative_prompt="丹" * 4000))
    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    assert "has no room" in response.json()["message"]
    assert (response.headers["Retry-After"], response.headers["x-should-retry"]) == ("30", "true")
    # What was held is released as soon as that can be written.
    event.remove(database, "connect", fill)
    database.dispose()
    for _ in range(400):
        balance = (await client.get("/v1/billing/balance")).json()["balance"]
        if balance == 100_000_000:
            break
        await asyncio.sleep(0.05)
    assert balance == 100_000_000


async def test_a_refused_prompt_is_the_documented_400(client, body, engine):
    for switch in (True, False):
        response = await client.post(PATH, json=body(prompt="a naked child", enable_safety_checker=switch))
        error = response.json()["error"]
        assert response.status_code == 400
        assert (error["code"], error["type"]) == ("moderation_blocked", "image_generation_user_error")
    assert engine.requests == []


async def test_a_key_may_be_replayed_under_its_idempotency_key(client, body, engine):
    headers = {"Idempotency-Key": '"order 1"'}
    assert (await client.post(PATH, json=body(), headers=headers)).status_code == 400
    headers = {"Idempotency-Key": "order-1"}
    first = await client.post(PATH, json=body(), headers=headers)
    again = await client.post(PATH, json=body(), headers={"Idempotency-Key": '"order-1"'})
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["x-inference-id"] == first.headers["x-inference-id"]
    assert len(engine.requests) == 1
    other = await client.post(PATH, json=body(prompt="other"), headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_mismatch")


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
        if logs and logs[0]["status"] == "failed":
            break
        await asyncio.sleep(0.02)
    assert (logs[0]["status"], logs[0]["error_code"], logs[0]["cost"]["credits"]) == ("failed", "cancelled", 0)
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
