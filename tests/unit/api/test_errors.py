"""Errors on the wire: body, status, headers."""

import pytest
from unit.api.calls import PATH, VALID


@pytest.mark.parametrize("settings", [{"price_megapixel_credits": 100_000_001}], indirect=True)
async def test_out_of_credits_is_the_platforms_403(client, body):
    response = await client.post(PATH, json=body())
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (403, "insufficient_credits")
    assert error["data"] == {"kind": "err_insufficent_credits"}
    assert response.json()["message"].startswith("You've run out of credits.")


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
    assert response.headers["Allow"] == "DELETE, GET, HEAD"


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
