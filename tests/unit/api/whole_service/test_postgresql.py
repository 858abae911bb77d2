"""The same service on a real PostgreSQL server, from the first start to a picture and its bill."""

import base64

import pytest
from unit.api.calls import PATH

from danqing.first_start import prepare
from danqing.settings import Settings


@pytest.fixture
def settings(empty_postgresql_url, tmp_path):
    return Settings(data_dir=tmp_path, database_url=empty_postgresql_url, drain_seconds=1)


@pytest.fixture
def key(settings):
    return prepare(settings).key.secret


async def test_a_picture_is_drawn_stored_charged_and_reported(client, body):
    response = await client.post(PATH, json=body(), headers={"Idempotency-Key": "k"})
    assert response.status_code == 200, response.text
    assert (await client.post(PATH, json=body(), headers={"Idempotency-Key": "k"})).status_code == 200
    assert (await client.get(response.json()["data"][0]["url"])).content.startswith(b"\x89PNG")
    assert (await client.get("/v1/billing/balance")).json()["balance"] == 99_790_000
    assert (await client.get("/v2/logs")).json()["pagination"]["total"] == 1
    assert (await client.get("/readyz")).status_code == 200


async def test_what_this_database_cannot_store_is_a_400_and_not_a_500(client, body):
    for text in (
        b"2026-11-23T10:00:00+00:00 a\0b",
        b"0001-01-01T00:00:00+10:00 a",
        b"2026-11-23T10:00:00 a",
        b"\xff \xff",
    ):
        cursor = base64.urlsafe_b64encode(text).decode()
        response = await client.get("/v2/billing/transactions", params={"cursor": cursor})
        assert (response.status_code, response.json()["error"]["param"]) == (400, "cursor"), text
    assert (await client.post(PATH, json=body(prompt="a\0b"))).status_code == 400
    assert (await client.post(PATH, json=body(user="a\0b"))).status_code == 200
    assert (await client.post(PATH, json=body(**{"a\0b": "c\0d"}))).status_code == 200
