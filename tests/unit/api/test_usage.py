"""Usage as clients see it."""

from unit.api.calls import MODEL, PATH

from danqing.engine.interface import EngineCrashed

COUNTS = {"total": 3, "charged": 2, "succeeded": 2, "failed": 1}
NO_TOKENS = {"input": 0, "output": 0, "total": 0}


async def use(client, body, engine):
    """Two requests that are charged and one that fails."""
    for _ in range(2):
        await client.post(PATH, json=body())
    engine.error = EngineCrashed()
    await client.post(PATH, json=body())


async def test_totals_count_what_was_charged(client, body, engine):
    await use(client, body, engine)
    usage = (await client.get("/v2/usage")).json()
    assert (usage["spend"], usage["currency"], usage["requests"], usage["api_key_prefix"]) == (0.21, "USD", 2, None)
    detail = (await client.get("/v2/usage/detail")).json()
    assert detail["models"] == [{"model": MODEL, "spend": 0.21, "requests": 2}]
    assert "groups" not in detail


async def test_groups_count_every_outcome(client, body, engine):
    await use(client, body, engine)
    for group_by, names in (("day", {"day"}), ("model", {"model"}), ("day,model", {"day", "model"})):
        detail = (await client.get("/v2/usage/detail", params={"group_by": group_by})).json()
        (group,) = detail["groups"]
        assert (group["spend"], group["tokens"], group["requests"]) == (0.21, NO_TOKENS, COUNTS)
        assert group.keys() - {"spend", "images", "tokens", "requests"} == names
        assert group.get("model", MODEL) == MODEL
        assert group.get("day", detail["end"][:10]) == detail["end"][:10]


async def test_a_model_that_cost_nothing_is_in_no_breakdown_but_in_the_groups(client, body, engine):
    engine.error = EngineCrashed()
    await client.post(PATH, json=body())
    detail = (await client.get("/v2/usage/detail?group_by=model")).json()
    assert (detail["models"], detail["requests"], len(detail["groups"])) == ([], 0, 1)


async def test_nothing_was_used_before_the_first_request(client):
    detail = (await client.get("/v2/usage/detail?group_by=day,model&tz=Pacific/Apia")).json()
    assert (detail["spend"], detail["requests"], detail["models"], detail["groups"]) == (0, 0, [], [])


async def test_bad_groups_and_zones_are_named(client):
    for path, named in (
        ("/v2/usage?group_by=day", "group_by"),
        ("/v2/usage/detail?group_by=week", "group_by"),
        ("/v2/usage/detail?group_by=model,day", "group_by"),
        ("/v2/usage/detail?tz=utc", "tz"),
        ("/v2/usage/detail?group_by=day&tz=%2B05:00", "tz"),
        ("/v2/usage/detail?group_by=day&tz=%00", "tz"),
    ):
        response = await client.get(path)
        assert (response.status_code, response.json()["error"]["param"]) == (400, named), path


async def test_a_management_key_reads_the_usage_of_all_keys_by_key_and_day(client, key, body, manager):
    second = (await manager.post("/v1/keys")).json()["data"]["key"]
    for secret, num_images in ((key, 1), (second, 3)):
        await client.post(PATH, json=body(num_images=num_images), headers={"Authorization": f"Bearer {secret}"})
    usage = (await manager.get("/v2/usage/detail?key_prefix=*&group_by=key")).json()
    assert [(group["api_key_prefix"], group["images"]) for group in usage["groups"]] == [(second[:8], 3), (key[:8], 1)]
    days = (await manager.get("/v2/usage/detail?key_prefix=*&group_by=day,key")).json()["groups"]
    assert [set(group) >= {"day", "api_key_prefix"} for group in days] == [True, True]
    assert usage["requests"] == 2
