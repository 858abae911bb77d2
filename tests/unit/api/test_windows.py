"""Windows of reports, as query parameters of each report."""

from datetime import datetime, timedelta

import pytest
from unit.api.calls import PATH

from danqing.accounts.accounts import create_account
from danqing.accounts.api_keys import create_key

REPORTS = ("/v2/usage", "/v2/usage/detail", "/v2/logs")


@pytest.mark.parametrize(
    ("query", "hours"),
    [
        ("", 24),
        ("period=7h", 7),
        ("period=92d", 92 * 24),
        ("start=2026-07-01T00:00:00Z&end=2026-10-01T00:00:00Z", 92 * 24),
        ("start=2026-07-01T00:00:00%2B02:00&end=2026-07-01", 2),
        ("start=2026-07-01&end=2026-07-01", 0),
    ],
)
async def test_a_window_is_a_period_up_to_now_or_two_moments(client, query, hours):
    usage = (await client.get(f"/v2/usage?{query}")).json()
    start, end = (datetime.fromisoformat(usage[name]) for name in ("start", "end"))
    assert end - start == timedelta(hours=hours)
    assert usage["start"].endswith("Z")


@pytest.mark.parametrize("path", REPORTS)
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("period=7", "period"),
        ("period=0d", "period"),
        ("period=93d", "period"),
        ("period=2209h", "period"),
        ("period=24h&start=2026-07-01&end=2026-07-02", "period"),
        ("period=24h&end=2026-07-02", "period"),
        ("start=2026-07-01", "end"),
        ("end=2026-07-01", "start"),
        ("start=2026-07-02&end=2026-07-01", "end"),
        ("start=2026-07-01T00:00:00Z&end=2026-10-01T00:00:01Z", "end"),
        ("start=yesterday&end=2026-07-01", "start"),
    ],
)
async def test_any_other_window_is_refused_by_name(client, path, query, named):
    response = await client.get(f"{path}?{query}")
    assert (response.status_code, response.json()["error"]["param"]) == (400, named)


async def num_reported(client, path, **asked):
    report = (await client.get(path, **asked)).json()
    return report["pagination"]["total"] if path == "/v2/logs" else report["requests"]


@pytest.mark.parametrize("path", REPORTS)
async def test_a_report_is_about_one_key(manager, key, body, path):
    own = {"Authorization": f"Bearer {key}"}
    await manager.post(PATH, json=body(), headers=own)
    assert await num_reported(manager, path, headers=own) == 1
    assert await num_reported(manager, path, headers=own, params={"key_prefix": key[:8]}) == 1
    assert await num_reported(manager, path) == 0
    assert await num_reported(manager, path, params={"key_prefix": key[:8]}) == 1
    await manager.delete(f"/v1/keys/{key[:8]}")
    assert await num_reported(manager, path, params={"key_prefix": key[:8]}) == 1


async def test_a_named_key_is_repeated_in_the_report(client, key):
    for path in ("/v2/usage", "/v2/usage/detail"):
        report = (await client.get(path, params={"key_prefix": key[:8]})).json()
        assert report["api_key_prefix"] == key[:8]


@pytest.mark.parametrize("path", REPORTS)
async def test_another_key_needs_a_management_key_of_its_account(manager, app, key, path):
    services = app.state.services

    def make_other(conn):
        create_account(conn, "other", name="Other", now=services.clock())
        return create_key(conn, account_id="other", name="", now=services.clock())

    other = (await services.database.run_write(make_other)).api_key.prefix
    for prefix in (other, "00000000", "x", "", "%00", "A" * 5000):
        response = await manager.get(f"{path}?key_prefix={prefix}")
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found"), prefix
        as_api_key = await manager.get(f"{path}?key_prefix={prefix}", headers={"Authorization": f"Bearer {key}"})
        assert (as_api_key.status_code, as_api_key.json()["error"]["code"]) == (403, "missing_scope"), prefix
