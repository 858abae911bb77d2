"""API keys as a management key administers them."""

from unit.api.calls import PATH


async def test_a_key_is_made_shown_once_used_changed_and_revoked(manager, body):
    made = await manager.post("/v1/keys", json={"name": "ci", "limit": {"retention": "day", "threshold": 0.2}})
    assert made.status_code == 201
    key = made.json()
    secret = key.pop("key")
    assert secret[:8] == key["prefix"]
    assert key.items() >= {"name": "ci", "disabled": False, "scopes": ["model:image"], "monthly_usage": 0.0}.items()
    assert key["limit"] == {"retention": "day", "threshold": 0.2}
    listed = (await manager.get("/v1/keys")).json()["data"]
    assert key in listed
    assert not any("key" in entry for entry in listed)

    own = {"Authorization": f"Bearer {secret}"}
    assert (await manager.post(PATH, json=body(), headers=own)).status_code == 200
    over = await manager.post(PATH, json=body(), headers=own)
    assert (over.status_code, over.json()["error"]["code"]) == (403, "spend_limit_reached")
    assert (await manager.get("/v1/key", headers=own)).json()["monthly_usage"] == 0.105

    patched = await manager.patch(f"/v1/keys/{key['prefix']}", json={"disabled": True, "limit": None})
    assert (patched.json()["disabled"], patched.json()["limit"], patched.json()["name"]) == (True, None, "ci")
    assert (await manager.post(PATH, json=body(), headers=own)).status_code == 401
    assert (await manager.patch(f"/v1/keys/{key['prefix']}", json={"disabled": False})).status_code == 200
    assert (await manager.post(PATH, json=body(), headers=own)).status_code == 200
    assert (await manager.delete(f"/v1/keys/{key['prefix']}")).status_code == 204
    assert (await manager.post(PATH, json=body(), headers=own)).status_code == 401
    assert (await manager.delete(f"/v1/keys/{key['prefix']}")).status_code == 404


async def test_a_management_key_cannot_make_itself_draw(manager, body):
    own = manager.headers["Authorization"].removeprefix("Bearer ")[:8]
    refused = await manager.patch(f"/v1/keys/{own}", json={"scopes": ["model:image"]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "scopes")
    assert (await manager.post(PATH, json=body())).status_code == 403


async def test_every_bad_field_of_a_key_is_named(manager):
    bad = {"name": "", "scopes": ["model:video", 5], "limit": {"retention": "year", "threshold": -1}}
    response = await manager.post("/v1/keys", json=bad)
    paths = {".".join(map(str, issue["path"])) for issue in response.json()["error"]["data"]}
    assert response.status_code == 400
    assert paths == {"name", "scopes", "limit.retention", "limit.threshold"} or paths == {
        "name",
        "scopes.0",
        "scopes.1",
        "limit.retention",
        "limit.threshold",
    }
    for odd in ([], {"name": 5}, {"name": "x" * 201}, {"name": "a\x00"}, {}):
        assert (await manager.post("/v1/keys", json=odd)).status_code == 400, odd
    assert (await manager.patch("/v1/keys/nothing", json={})).status_code == 404
