"""Validation of generation requests: every bad field is named, and what has no effect too."""

import json

import pytest
from unit.api.calls import MODEL, PATH, VALID


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


# Changes to a valid body, and the issues that they must lead to: path and code.
BAD_FIELDS = [
    ({"model": None}, {("model", "invalid_type")}),
    ({"model": 5}, {("model", "invalid_type")}),
    ({"prompt": None}, {("prompt", "invalid_type")}),
    ({"prompt": ["x"]}, {("prompt", "invalid_type")}),
    ({"prompt": "x" * 4001}, {("prompt", "too_big")}),
    ({"prompt": "a\x00b"}, {("prompt", "invalid_string")}),
    ({"prompt": ""}, {("prompt", "too_small")}),
    ({"prompt": " \t\n\x0b\u200b\u3164"}, {("prompt", "too_small")}),
    ({"prompt": "\ud800"}, {("prompt", "invalid_string")}),
    ({"prompt": "a fox \udc00\ud800"}, {("prompt", "invalid_string")}),
    ({"negative_prompt": "\ud800"}, {("negative_prompt", "invalid_string")}),
    ({"user": "\udfff"}, {("user", "invalid_string")}),
    ({"size": "\ud800"}, {("size", "invalid_string")}),
    ({"webhook_url": "http://x.test/\ud800"}, {("webhook_url", "invalid_string")}),
    ({"negative_prompt": 1}, {("negative_prompt", "invalid_type")}),
    ({"negative_prompt": "x" * 4001}, {("negative_prompt", "too_big")}),
    ({"negative_prompt": "\0"}, {("negative_prompt", "invalid_string")}),
    ({"num_images": 0}, {("num_images", "too_small")}),
    ({"num_images": 5}, {("num_images", "too_big")}),
    ({"num_images": 2.5}, {("num_images", "invalid_type")}),
    ({"num_images": "2"}, {("num_images", "invalid_type")}),
    ({"num_images": True}, {("num_images", "invalid_type")}),
    ({"num_images": 10**300}, {("num_images", "too_big")}),
    ({"num_images": []}, {("num_images", "invalid_type")}),
    ({"seed": 0}, {("seed", "too_small")}),
    ({"seed": -(10**4000)}, {("seed", "too_small")}),
    ({"seed": 1.5}, {("seed", "invalid_type")}),
    ({"seed": "7"}, {("seed", "invalid_type")}),
    ({"image_size": "huge"}, {("image_size", "invalid_enum_value")}),
    ({"image_size": 5}, {("image_size", "invalid_type")}),
    ({"image_size": "32x64"}, {("image_size", "too_small")}),
    ({"image_size": "64x4096"}, {("image_size", "too_big")}),
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
    ({"step_reuse": "most"}, {("step_reuse", "invalid_enum_value")}),
    ({"step_reuse": 2}, {("step_reuse", "invalid_type")}),
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


@pytest.mark.usefixtures("nothing_is_drawn")
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


@pytest.mark.usefixtures("nothing_is_drawn")
async def test_an_unknown_model_is_a_404(client):
    response = await client.post(PATH, json=VALID | {"model": "dall-e-3"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert error["data"][0]["options"] == [MODEL]
