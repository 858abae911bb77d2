"""Keys and money as clients see them."""

import pytest

from danqing.accounts.api_keys import KeyKind, create_key

PATH = "/v1/images/generations"


@pytest.fixture
async def manager(client, app):
    """The client with a management key."""
    services = app.state.services

    def make(conn):
        return create_key(conn, account_id="default", name="boss", now=services.clock(), kind=KeyKind.MANAGEMENT)

    created = await services.database.run_write(make)
    client.headers["Authorization"] = f"Bearer {created.secret}"
    return client


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


async def test_an_api_key_may_not_administer_keys(client):
    for method, path in (("GET", "/v1/keys"), ("POST", "/v1/keys"), ("DELETE", "/v1/keys/00000000")):
        response = await client.request(method, path)
        assert (response.status_code, response.json()["error"]["code"]) == (403, "missing_scope")


async def test_a_key_without_the_scope_may_not_draw(manager, body):
    secret = (await manager.post("/v1/keys", json={"name": "reader", "scopes": []})).json()["key"]
    response = await manager.post(PATH, json=body(), headers={"Authorization": f"Bearer {secret}"})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "missing_scope")


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


async def test_money_is_told_in_credits_and_dollars(client, body):
    await client.post(PATH, json=body(num_images=2))
    balance = (await client.get("/v1/billing/balance")).json()
    assert (balance["balance"], balance["lowBalance"], balance["lowBalanceThreshold"]) == (99_580_000, False, 10_000)
    assert (balance["autoDebitStatus"], balance["status"]) == ("disabled", "current")
    assert (await client.get("/v2/billing")).json() == {"current_balance": 49.79, "currency": "USD"}
    transactions = (await client.get("/v2/billing/transactions?limit=1")).json()
    (charge,) = transactions["data"]
    assert (charge["direction"], charge["type"]) == ("CHARGE", "MODEL_USAGE")
    assert charge["amount"] == {"usd": 0.21, "credits": 420_000}
    assert transactions["pagination"]["has_more"] is True
    cursor = transactions["pagination"]["next_cursor"]
    (grant,) = (await client.get("/v2/billing/transactions", params={"cursor": cursor})).json()["data"]
    assert (grant["direction"], grant["amount"]["credits"]) == ("TOPUP", 100_000_000)


async def test_usage_and_logs_tell_every_request(client, body, engine):
    first = await client.post(PATH, json=body(), headers={"X-Client-Request-Id": "mine"})
    from danqing.engine.interface import EngineCrashed

    engine.error = EngineCrashed()
    await client.post(PATH, json=body())
    (usage,) = (await client.get("/v2/usage?period=24h")).json()["data"]
    assert (usage["requests"], usage["by_status"]["completed"], usage["by_status"]["error"]) == (2, 1, 1)
    assert usage["cost"] == {"credits": 210_000, "usd": 0.105}
    logs = (await client.get("/v2/logs?period=7d&status=completed")).json()
    assert logs["pagination"]["total"] == 1
    (log,) = logs["data"]
    assert (log["inference_id"], log["client_request_id"]) == (first.headers["x-inference-id"], "mine")
    assert (log["origin"], log["status"]) == ("api", "completed")


async def test_out_of_credits_is_the_platforms_403(client, body, app):
    services = app.state.services
    object.__setattr__(services.jobs._price, "megapixel_credits", 100_000_001)
    response = await client.post(PATH, json=body())
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (403, "insufficient_credits")
    assert error["data"] == {"kind": "err_insufficent_credits"}
    assert response.json()["message"].startswith("You've run out of credits.")


async def test_the_examples_of_the_document_make_and_change_a_key(manager):
    paths = (await manager.get("/openapi.json")).json()["paths"]

    def example(path, method):
        return paths[path][method]["requestBody"]["content"]["application/json"]["example"]

    made = await manager.post("/v1/keys", json=example("/v1/keys", "post"))
    assert made.status_code == 201
    changed = await manager.patch(f"/v1/keys/{made.json()['prefix']}", json=example("/v1/keys/{prefix}", "patch"))
    assert (changed.status_code, changed.json()["disabled"]) == (200, True)
