"""Estimates as clients see them."""

import pytest
from unit.api.calls import MODEL

PATH = "/v1/images/estimate"


@pytest.mark.usefixtures("nothing_is_drawn")
async def test_an_estimate_names_price_and_warnings_and_charges_nothing(client, body):
    before = (await client.get("/v1/billing/balance")).json()["balance"]
    response = await client.post(PATH, json=body(num_images=3, negative_prompt="x", guidance_scale=1, nonsense=1))
    estimate = response.json()
    assert estimate["cost"] == {"usd": 0.315, "credits": 630_000}
    assert [warning.partition(":")[0] for warning in estimate["warnings"]] == ["nonsense", "negative_prompt"]
    assert (await client.get("/v1/billing/balance")).json()["balance"] == before
    assert (await client.get("/v2/logs")).json()["data"] == []


@pytest.mark.usefixtures("nothing_is_drawn")
async def test_words_that_the_bundled_checkpoint_does_not_know_are_named(client):
    prompt = "A cat with a bowl of ramen and chopsticks"
    estimate = (await client.post(PATH, json={"model": MODEL, "prompt": prompt})).json()
    assert estimate["warnings"] == ["mini does not know: bowl, ramen, chopsticks"]


@pytest.mark.usefixtures("nothing_is_drawn")
async def test_a_bad_request_is_refused_as_it_would_be(client, body):
    response = await client.post(PATH, json=body(num_images=9))
    assert (response.status_code, response.json()["error"]["param"]) == (400, "num_images")


async def test_only_a_key_that_may_draw_gets_one(manager, body):
    assert (await manager.post(PATH, json=body())).status_code == 403


async def test_the_same_sentence_is_in_the_response(client, body):
    drawn = (await client.post("/v1/images/generations", json=body(prompt="a red fox eating ramen"))).json()
    assert drawn["meta"]["warnings"] == ["mini does not know: eating, ramen"]
