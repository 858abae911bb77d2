"""The generation endpoint, from a request to the picture behind the link."""

import base64
import io

import httpx
import pytest
from PIL import Image
from sqlalchemy import event

PATH = "/v1/images/generations"


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


async def test_the_headers_name_the_request_and_its_cost(client, body):
    response = await client.post(
        PATH, json=body(), headers={"X-Client-Request-Id": "mine:1.2-3_4", "Origin": "http://x"}
    )
    assert len(response.headers["x-inference-id"]) == 21
    assert response.headers["x-request-id"] == response.headers["x-inference-id"]
    assert response.headers["x-client-request-id"] == "mine:1.2-3_4"
    assert response.headers["x-aimlapi-credits-used"] == "210000"
    assert response.headers["x-aimlapi-usd-spent"] == "0.105000000"
    assert response.headers["x-ratelimit-limit-requests"] == "6000"
    assert response.headers["RateLimit-Policy"] == '"requests";q=6000;w=60'
    exposed = {name.strip().lower() for name in response.headers["Access-Control-Expose-Headers"].split(",")}
    assert {"x-inference-id", "x-request-id", "x-client-request-id", "x-aimlapi-credits-used"} <= exposed
    assert response.headers["Access-Control-Allow-Origin"] == "*"


async def test_a_client_request_id_of_another_form_is_dropped_in_silence(client, body):
    for odd in ("a b", "x" * 129, "ä"):
        response = await client.post(PATH, json=body(), headers=[(b"X-Client-Request-Id", odd.encode())])
        assert response.status_code == 200
        assert "x-client-request-id" not in response.headers


@pytest.mark.parametrize("path", ["/images/generations", "/images/generations/", "/v1/images/generations/"])
async def test_the_other_spellings_of_the_path_work(client, body, path):
    assert (await client.post(path, json=body())).status_code == 200


async def test_sync_mode_fills_both_fields_with_the_bytes(client, body):
    (image,) = (await client.post(PATH, json=body(sync_mode=True))).json()["data"]
    assert image["url"] == f"data:image/png;base64,{image['b64_json']}"
    assert Image.open(io.BytesIO(base64.b64decode(image["b64_json"]))).size == (64, 64)


async def test_b64_json_comes_alone(client, body):
    (image,) = (await client.post(PATH, json=body(response_format="b64_json"))).json()["data"]
    assert "url" not in image
    assert base64.b64decode(image["b64_json"])[:4] == b"\x89PNG"


async def test_jpeg_comes_as_jpeg(client, body):
    answer = (await client.post(PATH, json=body(output_format="jpeg", output_compression=80))).json()
    picture = await client.get(answer["data"][0]["url"])
    assert picture.headers["content-type"] == answer["data"][0]["content_type"] == "image/jpeg"
    assert Image.open(io.BytesIO(picture.content)).format == "JPEG"


async def test_openai_names_mean_the_same(client, body, engine):
    answer = (await client.post(PATH, json=body(n=2, size="128x64", user="u", seed=7))).json()
    assert [(image["seed"], image["width"], image["height"]) for image in answer["data"]] == [
        (7, 128, 64),
        (8, 128, 64),
    ]
    assert answer["meta"]["usage"]["credits_used"] == 420_000
    assert answer["meta"]["warnings"] == []


async def test_size_auto_lets_the_model_choose(client, body, engine):
    assert (await client.post(PATH, json=body(size="auto"))).status_code == 200
    assert (engine.requests[0].width_px, engine.requests[0].height_px) == (None, None)


async def test_numbers_are_json_numbers(client, body, engine):
    changes = {"num_images": 2.0, "seed": 5.0, "image_size": {"width": 64.0, "height": 80.0}, "guidance_scale": 3}
    assert (await client.post(PATH, json=body(**changes))).status_code == 200
    request = engine.requests[0]
    assert (request.num_images, request.seed, request.width_px, request.height_px) == (2, 5, 64, 80)
    assert request.guidance_scale == 3.0


@pytest.mark.parametrize("exponent", [30, 400, 5000, 20_000])
async def test_a_seed_of_any_length_is_folded(client, engine, exponent):
    seed = "1" + "0" * exponent
    raw = (
        f'{{"model":"hunyuan/hunyuan-image-v3-text-to-image","prompt":"x","num_inference_steps":1,'
        f'"image_size":{{"width":64,"height":64}},"seed":{seed}}}'
    )
    response = await client.post(PATH, content=raw, headers={"Content-Type": "application/json"})
    assert response.status_code == 200, response.json()
    assert engine.requests[0].seed == 1 + (pow(10, exponent, 2**63 - 1) - 1) % (2**63 - 1)


async def test_unknown_fields_are_accepted_and_named(client, body):
    answer = (
        await client.post(PATH, json=body(num_image=3, image_size={"width": 64, "height": 64, "depth": 1}))
    ).json()
    assert answer["meta"]["warnings"] == [
        "num_image: unknown field, ignored",
        "image_size.depth: unknown field, ignored",
    ]


async def test_what_has_no_effect_is_named(client, body, engine):
    answer = (await client.post(PATH, json=body(partial_images=2, output_compression=50))).json()
    assert [warning.partition(":")[0] for warning in answer["meta"]["warnings"]] == [
        "output_compression",
        "partial_images",
    ]
    assert engine.requests[0].preview_every_steps == 0


async def test_a_request_without_a_seed_gets_one_of_its_own(client, body):
    seeds = {(await client.post(PATH, json=body())).json()["data"][0]["seed"] for _ in range(3)}
    assert len(seeds) == 3


async def test_a_failing_engine_is_a_500_that_costs_nothing(client, body, engine):
    from danqing.engine.interface import EngineCrashed

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
    event.listen(database, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 1"))
    # More than fits into the pages that the file has.
    response = await client.post(PATH, json=body(negative_prompt="x" * 4000))
    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    assert "has no room" in response.json()["message"]
    assert (response.headers["Retry-After"], response.headers["x-should-retry"]) == ("30", "true")
    assert (await client.get("/v1/billing/balance")).json()["balance"] == 100_000_000


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


@pytest.mark.parametrize("settings", [{"requests_per_minute": 1}], indirect=True)
async def test_a_key_over_its_rate_is_told_when_to_come_back(client, body):
    assert (await client.post(PATH, json=body())).status_code == 200
    response = await client.post(PATH, json=body())
    assert (response.status_code, response.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(response.headers["Retry-After"]) <= 120
    assert response.headers["x-ratelimit-remaining-requests"] == "0"


async def test_the_links_follow_the_address_that_the_client_used(client, body):
    answer = (await client.post(PATH, json=body())).json()
    assert httpx.URL(answer["data"][0]["url"]).host == "danqing.test"


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


@pytest.mark.parametrize(("header", "origin"), [("playground", "playground"), ("moon", "api"), (None, "api")])
async def test_the_log_says_which_door_a_request_came_through(client, body, header, origin):
    headers = {} if header is None else {"X-Danqing-Origin": header}
    assert (await client.post(PATH, json=body(), headers=headers)).status_code == 200
    (line,) = (await client.get("/v2/logs?period=1d")).json()["data"]
    assert line["origin"] == origin
