"""Rate limits that processes of one database share."""

import asyncio

import pytest
from sqlalchemy import func, select

from danqing.accounts.limits import RateState
from danqing.accounts.shared_limits import BucketRates, MinuteRates
from danqing.accounts.tables import key_rates
from danqing.errors import RateLimitExceeded


def bucket(database, clock, *, limit=6):
    return BucketRates(database, name="requests", requests_per_minute=limit, clock=clock)


def minute(database, clock, *, limit=3):
    return MinuteRates(database, name="log reads", requests_per_minute=limit, clock=clock)


async def test_each_request_takes_one_and_the_reset_moves_away(database, clock):
    rates = bucket(database, clock)
    first = await rates.take("a")
    assert first == RateState(name="requests", limit=6, remaining=5, window_seconds=60, reset_seconds=10)
    assert (await rates.take("a")).remaining == 4


async def test_above_the_limit_the_caller_learns_how_long_to_wait(database, clock):
    rates = bucket(database, clock)
    assert [(await rates.take("a")).remaining for _ in range(6)] == [5, 4, 3, 2, 1, 0]
    clock.advance(seconds=3)
    refused = await rates.take("a")
    assert (refused.wait_seconds, refused.remaining, refused.reset_seconds) == (7, 0, 57)
    with pytest.raises(RateLimitExceeded):
        refused.require_admitted()
    clock.advance(seconds=7)
    assert (await rates.take("a")).wait_seconds == 0
    assert (await rates.take("a")).wait_seconds == 10


async def test_keys_and_kinds_of_request_do_not_share_a_limit(database, clock):
    for _ in range(7):
        await bucket(database, clock).take("a")
    assert (await bucket(database, clock).take("b")).remaining == 5
    assert (await minute(database, clock).take("a")).remaining == 2


async def test_an_idle_key_never_gains_more_than_its_limit(database, clock):
    rates = bucket(database, clock)
    await rates.take("a")
    clock.advance(days=1)
    assert (await rates.take("a")).remaining == 5


async def test_a_minute_gives_nothing_back_before_it_is_over(database, clock):
    rates = minute(database, clock)
    first = await rates.take("a")
    assert first == RateState(name="log reads", limit=3, remaining=2, window_seconds=60, reset_seconds=60)
    clock.advance(seconds=30)
    await rates.take("a")
    await rates.take("a")
    clock.advance(seconds=29.5)
    refused = await rates.take("a")
    assert (refused.wait_seconds, refused.remaining) == (1, 0)
    clock.advance(seconds=0.5)
    assert (await rates.take("a")).remaining == 2


@pytest.mark.parametrize("kind", [bucket, minute])
async def test_a_limit_of_ten_is_ten_in_all_however_many_processes_count_at_once(database, clock, kind):
    processes = [kind(database, clock, limit=10) for _ in range(3)]
    states = await asyncio.gather(*(process.take("a") for process in processes for _ in range(10)))
    assert sum(state.wait_seconds == 0 for state in states) == 10


async def test_rows_of_idle_keys_are_deleted(database, clock):
    for index in range(20):
        await bucket(database, clock).take(f"key{index}")
    clock.advance(seconds=61)
    await bucket(database, clock).take("a")
    with database.read() as conn:
        assert conn.execute(select(func.count()).select_from(key_rates)).scalar_one() == 1
