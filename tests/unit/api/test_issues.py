"""Issues: every bad field is named."""

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
