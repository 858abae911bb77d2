"""Everything a client can send wrong: each gets its status, its code, and the name of every bad field; never a 5xx."""

import json

import pytest

PATH = "/v1/images/generations"
MODEL = "hunyuan/hunyuan-image-v3-text-to-image"
VALID = {"model": MODEL, "prompt": "a red fox", "num_inference_steps": 1, "image_size": {"width": 64, "height": 64}}

# Changes to a valid body, and the issues that they must lead to: path and code.
BAD_FIELDS = [
    ({"model": None}, {("model", "invalid_type")}),
    ({"model": 5}, {("model", "invalid_type")}),
    ({"prompt": None}, {("prompt", "invalid_type")}),
    ({"prompt": ["x"]}, {("prompt", "invalid_type")}),
    ({"prompt": "x" * 4001}, {("prompt", "too_big")}),
    ({"prompt": "a\x00b"}, {("prompt", "invalid_string")}),
    ({"prompt": "a\x1b[0m"}, {("prompt", "invalid_string")}),
    ({"prompt": "\ud800"}, {("prompt", "invalid_string")}),
    ({"prompt": "a fox \udc00\ud800"}, {("prompt", "invalid_string")}),
    ({"negative_prompt": "\ud800"}, {("negative_prompt", "invalid_string")}),
    ({"user": "\udfff"}, {("user", "invalid_string")}),
    ({"size": "\ud800"}, {("size", "invalid_string")}),
    ({"webhook_url": "http://x.test/\ud800"}, {("webhook_url", "invalid_string")}),
    ({"negative_prompt": 1}, {("negative_prompt", "invalid_type")}),
    ({"negative_prompt": "x" * 4001}, {("negative_prompt", "too_big")}),
    ({"negative_prompt": "\x07"}, {("negative_prompt", "invalid_string")}),
    ({"num_images": 0}, {("num_images", "too_small")}),
    ({"num_images": 5}, {("num_images", "too_big")}),
    ({"num_images": 2.5}, {("num_images", "invalid_type")}),
    ({"num_images": "2"}, {("num_images", "invalid_type")}),
    ({"num_images": True}, {("num_images", "invalid_type")}),
    ({"num_images": None}, {("num_images", "invalid_type")}),
    ({"num_images": 10**300}, {("num_images", "too_big")}),
    ({"num_images": []}, {("num_images", "invalid_type")}),
    ({"seed": 0}, {("seed", "too_small")}),
    ({"seed": -(10**4000)}, {("seed", "too_small")}),
    ({"seed": 1.5}, {("seed", "invalid_type")}),
    ({"seed": "7"}, {("seed", "invalid_type")}),
    ({"image_size": "huge"}, {("image_size", "invalid_enum_value")}),
    ({"image_size": 5}, {("image_size", "invalid_type")}),
    ({"image_size": None}, {("image_size", "invalid_type")}),
    ({"image_size": {}}, {("image_size.width", "invalid_type"), ("image_size.height", "invalid_type")}),
    (
        {"image_size": {"width": 63, "height": 2049}},
        {("image_size.width", "too_small"), ("image_size.height", "too_big")},
    ),
    (
        {"image_size": {"width": 100.5, "height": "64"}},
        {("image_size.width", "invalid_type"), ("image_size.height", "invalid_type")},
    ),
    ({"num_inference_steps": 0}, {("num_inference_steps", "too_small")}),
    ({"num_inference_steps": 51}, {("num_inference_steps", "too_big")}),
    ({"guidance_scale": 0.99}, {("guidance_scale", "too_small")}),
    ({"guidance_scale": 20.01}, {("guidance_scale", "too_big")}),
    ({"guidance_scale": 10**4000}, {("guidance_scale", "too_big")}),
    ({"guidance_scale": False}, {("guidance_scale", "invalid_type")}),
    ({"enable_safety_checker": "yes"}, {("enable_safety_checker", "invalid_type")}),
    ({"sync_mode": 1}, {("sync_mode", "invalid_type")}),
    ({"enable_prompt_expansion": "true"}, {("enable_prompt_expansion", "invalid_type")}),
    ({"output_format": "webp"}, {("output_format", "invalid_enum_value")}),
    ({"output_format": {}}, {("output_format", "invalid_type")}),
    ({"n": 5}, {("n", "too_big")}),
    ({"n": 2, "num_images": 1}, {("n", "custom")}),
    ({"size": "big"}, {("size", "invalid_string")}),
    ({"size": "1x1"}, {("size", "too_small")}),
    ({"size": "4096x64"}, {("size", "too_big")}),
    ({"size": "128x128"}, {("size", "custom")}),
    ({"response_format": "gif"}, {("response_format", "invalid_enum_value")}),
    ({"stream": "true"}, {("stream", "invalid_type")}),
    ({"partial_images": 4}, {("partial_images", "too_big")}),
    ({"output_compression": 101}, {("output_compression", "too_big")}),
    ({"user": 5}, {("user", "invalid_type")}),
    ({"user": "x" * 513}, {("user", "too_big")}),
    ({"webhook_url": "x" * 2049}, {("webhook_url", "too_big")}),
    ({"webhook_url": "ftp://x.test"}, {("webhook_url", "custom")}),
    ({"webhook_url": "http://127.0.0.1/"}, {("webhook_url", "custom")}),
    (
        {"model": 1, "prompt": 2, "seed": 0, "n": 9},
        {("model", "invalid_type"), ("prompt", "invalid_type"), ("seed", "too_small"), ("n", "too_big")},
    ),
]


@pytest.fixture(autouse=True)
def nothing_is_drawn_or_charged(engine):
    yield
    assert engine.requests == []


async def test_every_bad_field_is_named(client):
    for changes, expected in BAD_FIELDS:
        content = json.dumps(VALID | changes)
        response = await client.post(PATH, content=content, headers={"Content-Type": "application/json"})
        answer, case = response.json(), content[-200:]
        assert response.status_code == 400, case
        assert answer["message"] == "Invalid payload provided", case
        assert (answer["error"]["code"], answer["error"]["type"]) == ("invalid_payload", "invalid_request_error"), case
        issues = answer["error"]["data"]
        assert {(".".join(issue["path"]), issue["code"]) for issue in issues} == expected, case
        assert all(issue["message"] and issue["message"] in answer["error"]["message"] for issue in issues), case
        assert answer["error"]["param"] in {path for path, _ in expected}, case
        assert response.headers["x-should-retry"] == "false", case


BAD_BODIES = {
    "empty": b"",
    "not JSON": b"prompt=fox",
    "cut short": b'{"model": ',
    "an array": b"[]",
    "a string": b'"x"',
    "null": b"null",
    "NaN": b'{"guidance_scale": NaN}',
    "Infinity": b'{"guidance_scale": -Infinity}',
    "not UTF-8": b'{"prompt": "\xff"}',
    "UTF-16": '{"prompt": "x"}'.encode("utf-16"),
    "a deep array": b"[" * 100_000 + b"]" * 100_000,
    "a deep object": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a deep prompt": b'{"prompt":' + b"[" * 900 + b"]" * 900 + b"}",
    "a lone surrogate as a name": b'{"\\ud800": 1}',
    "an endless integer": b'{"num_images": ' + b"9" * 500_000 + b"}",
    "an endless negative integer": b'{"num_images": -' + b"9" * 500_000 + b"}",
    "an endless exponent": b'{"num_images": 1e999999}',
}


async def test_a_body_that_is_no_request_is_a_400(client):
    for name, content in BAD_BODIES.items():
        response = await client.post(PATH, content=content, headers={"Content-Type": "application/json"})
        assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_payload"), name
        assert response.json()["error"]["data"], name


async def test_a_huge_body_is_a_413(client):
    content = json.dumps(VALID | {"user": "x" * 2_000_000})
    response = await client.post(PATH, content=content, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
    assert "1048576" in response.json()["message"]


async def test_a_huge_body_in_chunks_is_a_413(client):
    async def chunks():
        for _ in range(30):
            yield b" " * 65_536

    response = await client.post(PATH, content=chunks(), headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


async def test_another_content_type_is_a_415(client):
    response = await client.post(PATH, data=VALID | {"image_size": "square"})
    assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_media_type")


async def test_an_unknown_model_is_a_404(client):
    response = await client.post(PATH, json=VALID | {"model": "dall-e-3"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert error["data"][0]["options"] == [MODEL]


async def test_no_valid_key_is_a_401(anonymous):
    for authorization in (None, "", "Bearer", "Bearer ", "Bearer " + "0" * 32, "Bearer x", "Basic eDp5", "Bearer ä"):
        headers = [] if authorization is None else [(b"Authorization", authorization.encode())]
        response = await anonymous.post(PATH, json=VALID, headers=headers)
        answer = response.json()
        assert (response.status_code, answer["error"]["code"]) == (401, "invalid_api_key"), authorization
        assert answer["message"].startswith("This request requires a valid API key.")
        assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_another_method_is_a_405(client):
    for path in (PATH, "/images/generations"):
        for method in ("GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "PROPFIND"):
            response = await client.request(method, path)
            assert response.status_code == 405, method
            assert "POST" in response.headers["Allow"]
            if method != "HEAD":
                assert response.json()["error"]["code"] == "method_not_allowed"


async def test_a_405_names_every_method_of_the_path(client):
    response = await client.request("PUT", f"{PATH}/{'0' * 21}")
    assert response.headers["Allow"] == "DELETE, GET"


async def test_an_unknown_path_is_a_404(client):
    for path in (
        "/v1",
        "/playground/nothing.js",
        "/playground/",
        "/v1/images",
        "/nothing",
        f"{PATH}/x/y",
        "/%00",
        "/v1/%ff",
    ):
        response = await client.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found"), path


async def test_an_unknown_job_is_a_404(client):
    for job_id in ("x", "%00" * 21, "0" * 21, "ä" * 21):
        for method in ("GET", "DELETE"):
            response = await client.request(method, f"{PATH}/{job_id}")
            assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found"), job_id


async def test_a_bad_idempotency_key_is_a_400_that_names_it(client):
    for key in ("", '""', "x" * 256, "a b", "ä"):
        response = await client.post(PATH, json=VALID, headers=[(b"Idempotency-Key", key.encode())])
        assert (response.status_code, response.json()["error"]["param"]) == (400, "Idempotency-Key"), key


BAD_QUERIES = [
    ("/v2/billing/transactions?limit=0", {"limit"}),
    ("/v2/billing/transactions?limit=x&direction=UP&type=Y", {"limit", "direction", "type"}),
    ("/v2/billing/transactions?from=yesterday&to=0001-01-01T00:00:00%2B10:00", {"from", "to"}),
    ("/v2/billing/transactions?from=0.5", {"from"}),
    ("/v2/billing/transactions?cursor=x", {"cursor"}),
    ("/v2/billing/transactions?cursor=%00", {"cursor"}),
    ("/v2/usage?period=7", {"period"}),
    ("/v2/usage?period=0h", {"period"}),
    ("/v2/usage?period=9999d", {"period"}),
    ("/v2/logs?status=lost&offset=-1&limit=101", {"status", "offset", "limit"}),
    ("/v2/logs?offset=99999999999999999999999", {"offset"}),
]


async def test_every_bad_query_parameter_is_named(client):
    for path, bad in BAD_QUERIES:
        response = await client.get(path)
        error = response.json()["error"]
        assert response.status_code == 400, path
        named = {issue["path"][0] for issue in error.get("data", [])} or {error["param"]}
        assert named == bad, path


async def test_the_error_body_has_every_field_of_the_platform(client):
    response = await client.post(PATH, json=VALID | {"num_images": 5})
    answer = response.json()
    timestamp = answer.pop("timestamp")
    assert timestamp.endswith("Z")
    assert len(timestamp) == len("2026-11-23T10:00:00.000Z")
    assert answer == {
        "title": "Bad Request",
        "status": 400,
        "statusCode": 400,
        "message": "Invalid payload provided",
        "instance": PATH,
        "path": PATH,
        "requestId": response.headers["x-inference-id"],
        "error": {
            "name": "BadRequestException",
            "message": "num_images: Number must be less than or equal to 4",
            "type": "invalid_request_error",
            "code": "invalid_payload",
            "param": "num_images",
            "data": [
                {
                    "code": "too_big",
                    "maximum": 4,
                    "type": "number",
                    "inclusive": True,
                    "path": ["num_images"],
                    "message": "Number must be less than or equal to 4",
                }
            ],
        },
    }


async def test_problem_json_is_the_same_body_under_its_own_type(client):
    response = await client.post(PATH, json={}, headers={"Accept": "application/problem+json"})
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["error"]["code"] == "invalid_payload"


async def test_a_fault_of_ours_is_a_500_in_the_same_form(client, app, monkeypatch):
    def broken() -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(app.state.services.engine, "status", broken)
    response = await client.get("/readyz")
    answer = response.json()
    assert (response.status_code, answer["error"]["code"]) == (500, "server_error")
    assert "on purpose" not in response.text
    assert answer["requestId"] == response.headers["x-inference-id"]
