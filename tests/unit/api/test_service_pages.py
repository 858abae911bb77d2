"""Models, health, figures, documents: what machines ask before and beside the real work."""

import json
import re
from pathlib import Path

import pytest

from danqing.engine.interface import EngineState

DESCRIBED = Path(__file__).parents[2] / "data" / "described-openapi.json"
PATH = "/v1/images/generations"
MODEL = "hunyuan/hunyuan-image-v3-text-to-image"


async def test_models_are_listed_without_a_key_and_cached(anonymous):
    response = await anonymous.get("/v1/models")
    (model,) = response.json()["data"]
    assert (model["id"], model["object"], model["type"]) == (MODEL, "model", "openai/image-generations")
    assert model["tags"] == ["playground:image"]
    again = await anonymous.get("/v1/models", headers={"If-None-Match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await anonymous.get(f"/v1/models/{MODEL}")).json() == model
    assert (await anonymous.get("/v1/models/dall-e-3")).json()["error"]["code"] == "model_not_found"


async def test_the_server_is_alive_before_it_is_ready(anonymous, engine):
    engine.state = EngineState.STARTING
    assert (await anonymous.get("/healthz")).json() == {"status": "ok"}
    response = await anonymous.get("/readyz")
    assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
    assert "the engine is starting (on purpose)" in response.json()["message"]
    assert response.headers["Retry-After"] == "2"
    engine.state = EngineState.READY
    assert (await anonymous.get("/readyz")).json() == {"status": "ready", "engine": "fake (draws grey)"}


async def test_metrics_count_requests_by_route_and_jobs_by_end(client, body):
    await client.post(PATH, json=body())
    await client.post(PATH, json=body(prompt="a naked child"))
    await client.get("/nothing/at/all")
    text = (await client.get("/metrics")).text
    assert f'http_requests_total{{method="POST",route="{PATH}",status="200"}} 1.0' in text
    assert 'http_requests_total{method="GET",route="unknown",status="404"} 1.0' in text
    assert 'danqing_jobs_total{error_code="",status="completed"} 1.0' in text
    assert 'danqing_request_errors_total{code="moderation_blocked"} 1.0' in text
    assert "danqing_credits_charged_total 210000.0" in text
    assert 'danqing_images_total{flagged="false"} 1.0' in text
    assert "danqing_jobs_queued 0.0" in text
    assert "process_resident_memory_bytes" in text


async def test_the_request_schema_equals_the_described_one_for_the_described_fields(anonymous):
    described = request_schema(json.loads(DESCRIBED.read_text()))
    ours = request_schema((await anonymous.get("/openapi.json")).json())
    assert {name: ours["properties"][name] for name in described["properties"]} == described["properties"]
    for part in ("type", "title", "required"):
        assert ours[part] == described[part]


def request_schema(document):
    return document["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]


async def test_every_reference_of_the_document_can_be_followed(anonymous):
    document = (await anonymous.get("/openapi.json")).json()
    assert len(document["paths"]) > 12

    def references(part):
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                yield part["$ref"]
            part = list(part.values())
        if isinstance(part, list):
            for inner in part:
                yield from references(inner)

    for reference in references(document):
        target = document
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]


async def test_a_browser_of_any_origin_may_ask(anonymous):
    headers = {
        "Origin": "https://elsewhere.test",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    response = await anonymous.options(PATH, headers=headers)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == "*"
    assert "idempotency-key" in response.headers["access-control-allow-headers"]


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/nothing"])
async def test_every_answer_has_an_id(anonymous, path):
    response = await anonymous.get(path)
    assert len(response.headers["x-inference-id"]) == 21


async def test_every_example_of_a_generation_draws(client):
    document = (await client.get("/openapi.json")).json()
    content = document["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]
    for name, example in content["examples"].items():
        response = await client.post(PATH, json=example["value"])
        assert (name, response.status_code) == (name, 200), response.text


async def test_the_reference_is_served_by_this_server_alone(anonymous):
    page = await anonymous.get("/docs")
    assert page.status_code == 200
    assert "http" not in page.text
    assert "'unsafe" not in page.headers["content-security-policy"]
    for name in re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text):
        assert (await anonymous.get(f"/{name}")).status_code == 200, name
    assert (await anonymous.get("/redoc")).status_code == 404
