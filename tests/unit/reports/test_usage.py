"""Usage, summed by model and by the days of a time zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from fakes import IMAGE
from sqlalchemy import event

from danqing.errors import ServiceError
from danqing.jobs import lifecycle
from danqing.jobs.job import JobResult
from danqing.reports.usage import usage_by_day, usage_by_model
from danqing.reports.windows import KeyWindow

PRICE = 210_000
# A zone, the moments of requests in UTC, and how many of them each local date has.
DATES = [
    ("UTC", ["2026-07-01T23:59:59.999999", "2026-07-02T00:00:00"], {"2026-07-01": 1, "2026-07-02": 1}),
    ("Asia/Kolkata", ["2026-07-01T18:29:59", "2026-07-01T18:30:00"], {"2026-07-01": 1, "2026-07-02": 1}),
    # The day of 23 hours, and that of 25.
    (
        "Europe/Berlin",
        ["2026-03-28T22:59:59", "2026-03-28T23:00:00", "2026-03-29T21:59:59", "2026-03-29T22:00:00"],
        {"2026-03-28": 1, "2026-03-29": 2, "2026-03-30": 1},
    ),
    (
        "Europe/Berlin",
        ["2026-10-24T21:59:59", "2026-10-24T22:00:00", "2026-10-25T22:59:59", "2026-10-25T23:00:00"],
        {"2026-10-24": 1, "2026-10-25": 2, "2026-10-26": 1},
    ),
    ("America/Havana", ["2026-03-08T04:59:59", "2026-03-08T05:00:00"], {"2026-03-07": 1, "2026-03-08": 1}),
    ("Pacific/Apia", ["2011-12-30T09:59:59", "2011-12-30T10:00:00"], {"2011-12-29": 1, "2011-12-31": 1}),
    # One minute of the 7th, an hour of the 6th again, then the 7th.
    (
        "America/St_Johns",
        ["2010-11-07T02:30:30", "2010-11-07T02:31:00", "2010-11-07T03:29:59", "2010-11-07T03:30:00"],
        {"2010-11-06": 2, "2010-11-07": 2},
    ),
]


def test_usage_counts_every_outcome_and_sums_what_was_charged(house, history):
    (total,) = _by_model(house)
    assert (total.num_requests, total.num_charged, total.num_succeeded) == (3, 2, 2)
    assert total.charged_credits == 2 * PRICE
    assert total.day is None
    assert type(total.charged_credits) is type(total.num_charged) is int


def test_models_are_listed_by_their_charge(house):
    _request(house, model="cheap")
    _request(house, model="dear")
    _request(house, model="dear")
    _request(house, model="failed", done=False)
    assert [(one.model, one.charged_credits) for one in _by_model(house)] == [
        ("dear", 2 * PRICE),
        ("cheap", PRICE),
        ("failed", 0),
    ]


def test_a_window_includes_its_start_and_not_its_end(house):
    _request(house)
    now = house.clock()
    assert _by_model(house, start=now, end=now + timedelta(microseconds=1))[0].num_requests == 1
    assert _by_model(house, start=now - timedelta(days=1), end=now) == []
    assert _by_day(house, start=now, end=now, zone="UTC") == []


@pytest.mark.parametrize(("zone", "moments", "expected"), DATES)
def test_requests_count_for_their_local_date(house, zone, moments, expected):
    for moment in moments:
        house.clock.now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        _request(house)
    start = house.clock() - timedelta(days=60)
    groups = _by_day(house, start=start, end=start + timedelta(days=92), zone=zone)
    assert {group.day: group.num_charged for group in groups} == expected
    assert [group.charged_credits for group in groups] == [PRICE * number for number in expected.values()]


def test_days_come_in_order_and_their_models_by_charge(house):
    for model in ("cheap", "dear", "dear"):
        _request(house, model=model)
    house.clock.advance(days=1)
    _request(house, model="cheap", done=False)
    window = {"start": house.clock() - timedelta(days=7), "end": house.clock() + timedelta(days=1), "zone": "UTC"}
    groups = _by_day(house, **window, by_model=True)
    assert [(group.day, group.model, group.num_requests, group.num_succeeded) for group in groups] == [
        ("2026-11-23", "dear", 2, 2),
        ("2026-11-23", "cheap", 1, 1),
        ("2026-11-24", "cheap", 1, 0),
    ]
    assert [(group.day, group.model, group.num_requests) for group in _by_day(house, **window)] == [
        ("2026-11-23", None, 3),
        ("2026-11-24", None, 1),
    ]


def test_the_database_seeks_the_days_of_a_key_in_an_index(house):
    plans = []
    with house.database.read() as conn:
        if conn.dialect.name != "sqlite":
            pytest.skip("PostgreSQL plans by what the table holds.")

        def explain(_conn, cursor, statement, parameters, *_):
            plans.extend(row[-1] for row in cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))

        event.listen(conn, "before_cursor_execute", explain)
        window = KeyWindow(
            account_id="acme", api_key_id="x", start=house.clock() - timedelta(days=92), end=house.clock()
        )
        usage_by_day(conn, window, zone=ZoneInfo("Europe/Berlin"), by_model=True)
    # The other order would compare every request of the window with every day.
    inner = plans[plans.index("SCAN pieces") + 1]
    assert inner.startswith("SEARCH jobs")
    assert "ix_jobs_api_key_id_created_at_id (api_key_id=? AND created_at>? AND created_at<?)" in inner


def _request(house, *, model=None, done=True):
    job = house.write_job(started=True, **({} if model is None else {"model": model}))
    with house.database.write() as conn:
        if done:
            result = JobResult(images=(IMAGE,), engine="fake", safety={}, warnings=(), expanded_prompt=None)
            lifecycle.succeed(conn, job, result, lease_owner="me", now=house.clock())
        else:
            lifecycle.fail(conn, job, ServiceError(), lease_owner="me", now=house.clock())


def _window(house, start, end):
    now = house.clock()
    return KeyWindow(
        account_id="acme",
        api_key_id=house.keys["acme"],
        start=start or now - timedelta(days=1),
        end=end or now + timedelta(microseconds=1),
    )


def _by_model(house, *, start=None, end=None):
    with house.database.read() as conn:
        return usage_by_model(conn, _window(house, start, end))


def _by_day(house, *, start, end, zone, by_model=False):
    with house.database.read() as conn:
        return usage_by_day(conn, _window(house, start, end), zone=ZoneInfo(zone), by_model=by_model)
