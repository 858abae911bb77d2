"""The fair queue and the estimate of its length."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danqing.errors import Overloaded, RateLimitExceeded
from danqing.jobs.queue import MAX_RETRY_AFTER_SECONDS, FairQueue, WaitEstimate

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def slot(queue, account_id, *, seconds=1):
    return queue.slot(account_id, retry_after_seconds=seconds)


def put(queue, job_id, *, account_id, second=0):
    queue.put(job_id, account_id=account_id, created_at=NOON + timedelta(seconds=second))


async def test_accounts_take_turns_and_each_is_served_in_order():
    queue = FairQueue(max_jobs=10, max_jobs_per_account=10)
    for job_id in ("a1", "a2", "a3", "b1", "b2", "c1"):
        put(queue, job_id, account_id=job_id[0])
    assert [await queue.take() for _ in range(6)] == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_job_left_behind_by_another_process_goes_before_those_that_came_after_it():
    queue = FairQueue(max_jobs=10, max_jobs_per_account=10)
    put(queue, "a5", account_id="a", second=5)
    put(queue, "a6", account_id="a", second=6)
    put(queue, "a1", account_id="a", second=1)
    assert [await queue.take() for _ in range(3)] == ["a1", "a5", "a6"]


async def test_a_newcomer_waits_for_one_job_of_each_account_and_no_more():
    queue = FairQueue(max_jobs=100, max_jobs_per_account=100)
    for index in range(50):
        put(queue, f"a{index}", account_id="a")
    assert await queue.take() == "a0"
    put(queue, "b0", account_id="b")
    assert [await queue.take() for _ in range(3)] == ["a1", "b0", "a2"]


async def test_taking_waits_until_there_is_a_job():
    queue = FairQueue(max_jobs=1, max_jobs_per_account=1)
    taking = asyncio.create_task(queue.take())
    await asyncio.sleep(0.01)
    assert not taking.done()
    put(queue, "a1", account_id="a")
    assert await taking == "a1"


async def test_two_takers_never_get_the_same_job():
    queue = FairQueue(max_jobs=2, max_jobs_per_account=2)
    takers = [asyncio.create_task(queue.take()) for _ in range(3)]
    await asyncio.sleep(0)
    put(queue, "a1", account_id="a")
    put(queue, "a2", account_id="a")
    done, waiting = await asyncio.wait(takers, timeout=0.1)
    assert sorted(task.result() for task in done) == ["a1", "a2"]
    (last,) = waiting
    last.cancel()


def test_a_full_queue_refuses_with_the_time_to_wait():
    queue = FairQueue(max_jobs=2, max_jobs_per_account=2)
    put(queue, "a1", account_id="a")
    with slot(queue, "b"), pytest.raises(Overloaded) as refusal, slot(queue, "c", seconds=9):
        pass
    assert refusal.value.retry_after_seconds == 9


def test_an_account_cannot_fill_the_queue():
    queue = FairQueue(max_jobs=4, max_jobs_per_account=2)
    put(queue, "a1", account_id="a")
    with slot(queue, "a"):
        with pytest.raises(RateLimitExceeded), slot(queue, "a"):
            pass
        with slot(queue, "b"):
            assert queue.num_free == 1


def test_a_slot_is_free_again_whether_or_not_its_job_came():
    queue = FairQueue(max_jobs=1, max_jobs_per_account=1)
    with pytest.raises(ZeroDivisionError), slot(queue, "a"):
        raise ZeroDivisionError
    with slot(queue, "a"):
        put(queue, "a1", account_id="a")
    assert (len(queue), queue.num_free) == (1, 0)


def test_a_refused_caller_waits_longer_the_more_and_the_longer_the_jobs_ahead():
    estimate = WaitEstimate()
    assert estimate.retry_after_seconds(num_ahead=0, num_at_once=4) == 1
    assert estimate.retry_after_seconds(num_ahead=40, num_at_once=4) == 10
    for _ in range(50):
        estimate.job_took(3)
    assert estimate.retry_after_seconds(num_ahead=40, num_at_once=4) == 30
    assert estimate.retry_after_seconds(num_ahead=40, num_at_once=12) == 10
    assert estimate.retry_after_seconds(num_ahead=10_000, num_at_once=4) == MAX_RETRY_AFTER_SECONDS


def test_a_job_can_be_taken_out_once():
    queue = FairQueue(max_jobs=2, max_jobs_per_account=2)
    put(queue, "a1", account_id="a")
    assert queue.remove("a1", account_id="a")
    assert not queue.remove("a1", account_id="a")
    assert not queue.remove("a1", account_id="b")
    assert len(queue) == 0


@given(st.lists(st.tuples(st.sampled_from(["put", "take", "remove"]), st.sampled_from("abc"), st.integers(0, 5))))
def test_nothing_is_lost_and_nothing_comes_twice(operations):
    async def run():
        queue = FairQueue(max_jobs=1000, max_jobs_per_account=1000)
        inside, num_put = set(), 0
        for operation, account_id, index in operations:
            if operation == "put":
                job_id = f"{account_id}{num_put}"
                num_put += 1
                put(queue, job_id, account_id=account_id)
                inside.add(job_id)
            elif operation == "take" and inside:
                inside.remove(await queue.take())
            elif operation == "remove":
                job_id = f"{account_id}{index}"
                assert queue.remove(job_id, account_id=account_id) == (job_id in inside)
                inside.discard(job_id)
            assert len(queue) == len(inside)

    asyncio.run(run())
