"""The fields of a generation request: their schema, their limits, their meaning."""

import json
from pathlib import Path

from unit.api.calls import PATH


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


async def test_a_request_without_a_seed_gets_one_of_its_own(client, body):
    seeds = {(await client.post(PATH, json=body())).json()["data"][0]["seed"] for _ in range(3)}
    assert len(seeds) == 3


async def test_the_request_schema_equals_the_described_one_for_the_described_fields(anonymous):
    described = request_schema(json.loads(DESCRIBED.read_text()))
    ours = request_schema((await anonymous.get("/openapi.json")).json())
    assert {name: ours["properties"][name] for name in described["properties"]} == described["properties"]
    for part in ("type", "title", "required"):
        assert ours[part] == described[part]


def request_schema(document):
    return document["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]


DESCRIBED = Path(__file__).parents[2] / "data" / "described-openapi.json"
