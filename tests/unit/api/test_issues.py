"""Issues: every bad field is named."""

import pytest

BAD_QUERIES = [
    ("/v2/billing/transactions?limit=0", {"limit"}),
    ("/v2/billing/transactions?limit=x&direction=UP&type=GRANT", {"limit", "direction", "type"}),
    ("/v2/billing/transactions?from=yesterday&to=0001-01-01T00:00:00%2B10:00", {"from", "to"}),
    ("/v2/billing/transactions?from=0.5", {"from"}),
    ("/v2/billing/transactions?cursor=x", {"cursor"}),
    ("/v2/billing/transactions?cursor=%00", {"cursor"}),
    ("/v2/usage?period=7", {"period"}),
    ("/v2/usage?period=0h", {"period"}),
    ("/v2/usage?period=9999d", {"period"}),
    ("/v2/logs?status=lost&offset=-1&limit=101", {"status", "offset", "limit"}),
    ("/v2/logs?offset=99999999999999999999999", {"offset"}),
]


async def test_every_bad_query_parameter_is_named(client):
    for path, bad in BAD_QUERIES:
        response = await client.get(path)
        error = response.json()["error"]
        assert response.status_code == 400, path
        named = {issue["path"][0] for issue in error.get("data", [])} or {error["param"]}
        assert named == bad, path


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "x" * 201, "String must contain at most 200 character(s)"),
        ("scopes", ["model:image"] * 50, "Array must contain at most"),
    ],
)
async def test_a_length_is_told_in_the_words_of_its_type(manager, field, value, message):
    response = await manager.post("/v1/keys", json={field: value})
    (issue,) = response.json()["error"]["data"]
    assert issue["message"].startswith(message)
    assert (issue["code"], issue["type"]) == ("too_big", {"name": "string", "scopes": "array"}[field])
