"""API keys as a management key administers them."""

import pytest
from unit.api.calls import PATH


async def test_a_key_is_made_shown_once_used_changed_and_deleted(manager, body):
    made = await manager.post("/v1/keys", json={"name": "ci", "limit": {"retention": "day", "threshold": 0.2}})
    assert (made.status_code, made.headers["Cache-Control"]) == (200, "no-store")
    key = made.json()["data"]
    secret = key.pop("key")
    assert secret[:8] == key["prefix"]
    assert key.items() >= {"name": "ci", "disabled": False, "scopes": ["model:image"], "monthly_usage": 0.0}.items()
    assert key["limit"] == {"retention": "day", "threshold": 0.2}
    listed = (await manager.get("/v1/keys")).json()["data"]
    assert [entry for entry in listed if entry.items() >= key.items()]
    assert not any("key" in entry for entry in listed)
    assert (await manager.get(f"/v1/keys/{key['prefix']}")).json() == {"data": key}

    own = {"Authorization": f"Bearer {secret}"}
    assert (await manager.post(PATH, json=body(), headers=own)).status_code == 200
    over = await manager.post(PATH, json=body(), headers=own)
    assert (over.status_code, over.json()["error"]["code"]) == (403, "spend_limit_reached")
    assert (await manager.get("/v1/key", headers=own)).json()["data"]["monthly_usage"] == 0.105

    patched = (await manager.patch(f"/v1/keys/{key['prefix']}", json={"disabled": True, "limit": None})).json()["data"]
    assert (patched["disabled"], patched["limit"], patched["name"]) == (True, None, "ci")
    assert (await manager.post(PATH, json=body(), headers=own)).status_code == 401
    assert (await manager.put(f"/v1/keys/{key['prefix']}", json={"disabled": False})).status_code == 200
    assert (await manager.post(PATH, json=body(), headers=own)).status_code == 200
    deleted = await manager.delete(f"/v1/keys/{key['prefix']}")
    assert (deleted.status_code, deleted.json()) == (200, {"data": {"prefix": key["prefix"], "deleted": True}})
    assert (await manager.post(PATH, json=body(), headers=own)).status_code == 401
    for method in ("GET", "DELETE"):
        assert (await manager.request(method, f"/v1/keys/{key['prefix']}")).status_code == 404


@pytest.mark.parametrize("body", [None, {}, {"name": None, "scopes": None, "limit": None}, {"name": ""}])
async def test_a_key_needs_no_wishes(manager, body):
    key = (await manager.post("/v1/keys", json=body)).json()["data"]
    assert (key["name"], key["scopes"], "limit" in key) == (None, ["model:image"], False)
    assert (await manager.get(f"/v1/keys/{key['prefix']}")).json()["data"]["limit"] is None


async def test_a_chunked_body_is_read(manager):
    async def chunks():
        yield b'{"name": '
        yield b'"ci"}'

    headers = {"Content-Type": "application/json"}
    made = await manager.post("/v1/keys", content=chunks(), headers=headers)
    assert made.json()["data"]["name"] == "ci"


async def test_scopes_of_the_described_platform_are_kept_and_open_nothing_here(manager, body):
    key = (await manager.post("/v1/keys", json={"scopes": ["model:chat", "model:ocr"]})).json()["data"]
    assert key["scopes"] == ["model:chat", "model:ocr"]
    refused = await manager.post(PATH, json=body(), headers={"Authorization": f"Bearer {key['key']}"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "missing_scope")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_fields_left_out_of_a_change_stay(manager, method):
    limit = {"retention": "week", "threshold": 5.0}
    made = (await manager.post("/v1/keys", json={"name": "ci", "limit": limit, "scopes": ["model:chat"]})).json()[
        "data"
    ]

    async def change(**body):
        key = (await manager.request(method, f"/v1/keys/{made['prefix']}", json=body)).json()["data"]
        return key["name"], key["disabled"], key["scopes"], key["limit"]

    assert await change() == ("ci", False, ["model:chat"], limit)
    assert await change(disabled=True) == ("ci", True, ["model:chat"], limit)
    assert await change(disabled=None, scopes=None) == ("ci", True, ["model:chat"], limit)
    assert await change(limit={"threshold": 7}) == ("ci", True, ["model:chat"], {"retention": "week", "threshold": 7.0})
    assert (await change(limit={"retention": "day"}))[3] == {"retention": "day", "threshold": 7.0}
    assert (await change(limit={}))[3] == {"retention": "day", "threshold": 7.0}
    assert await change(limit=None, name=None, scopes=[]) == (None, True, [], None)
    assert (await change(limit={"threshold": 3}))[3] == {"retention": "no_reset", "threshold": 3.0}


async def test_a_key_may_be_sent_back_as_it_was_received(manager):
    made = (await manager.post("/v1/keys", json={"name": "ci"})).json()["data"]
    received = (await manager.get(f"/v1/keys/{made['prefix']}")).json()["data"]
    sent_back = await manager.put(f"/v1/keys/{made['prefix']}", json={**received, "name": "renamed"})
    assert sent_back.json()["data"] == {
        **received,
        "name": "renamed",
        "updated_at": sent_back.json()["data"]["updated_at"],
    }


async def test_a_management_key_cannot_make_itself_draw(manager, body):
    own = manager.headers["Authorization"].removeprefix("Bearer ")[:8]
    refused = await manager.patch(f"/v1/keys/{own}", json={"scopes": ["model:image"]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "scopes")
    assert (await manager.post(PATH, json=body())).status_code == 403


async def test_every_bad_field_of_a_key_is_named(manager):
    bad = {"name": 5, "scopes": ["model:sculpture", 5], "limit": {"retention": "year", "threshold": -1}}
    response = await manager.post("/v1/keys", json=bad)
    paths = {".".join(map(str, issue["path"])) for issue in response.json()["error"]["data"]}
    assert response.status_code == 400
    assert paths == {"name", "scopes.0", "scopes.1", "limit.retention", "limit.threshold"}
    for odd in ([], {"name": "x" * 201}, {"name": "a\x00"}, {"limit": {}}, {"limit": {"retention": "day"}}):
        assert (await manager.post("/v1/keys", json=odd)).status_code == 400, odd
    unknown = (await manager.post("/v1/keys", json={"limits": 5})).json()["error"]
    assert [(issue["code"], issue["keys"]) for issue in unknown["data"]] == [("unrecognized_keys", ["limits"])]
    assert (await manager.patch("/v1/keys/nothing", json={})).status_code == 404


async def test_the_list_tells_kind_last_use_and_what_counts_against_the_limit(manager, client, body):
    limit = {"retention": "week", "threshold": 1}
    made = (await manager.post("/v1/keys", json={"limit": limit})).json()["data"]
    await client.post(PATH, json=body(), headers={"Authorization": f"Bearer {made['key']}"})
    first, boss, used = (await manager.get("/v1/keys")).json()["data"]
    assert (first["kind"], first["last_used_at"], first["limit_usage"]) == ("api", None, None)
    assert boss["kind"] == "management"
    assert used["last_used_at"] >= used["created_at"]
    assert used["limit_usage"] == 0.105
