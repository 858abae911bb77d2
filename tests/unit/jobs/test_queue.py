"""The fair queue."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danqing.errors import Overloaded, RateLimitExceeded
from danqing.jobs.queue import FairQueue


async def test_accounts_take_turns_and_each_is_served_in_order():
    queue = FairQueue(max_jobs=10, max_jobs_per_account=10)
    for job_id in ("a1", "a2", "a3", "b1", "b2", "c1"):
        queue.put(job_id, account_id=job_id[0])
    assert [await queue.take() for _ in range(6)] == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_a_newcomer_waits_for_one_job_of_each_account_and_no_more():
    queue = FairQueue(max_jobs=100, max_jobs_per_account=100)
    for index in range(50):
        queue.put(f"a{index}", account_id="a")
    assert await queue.take() == "a0"
    queue.put("b0", account_id="b")
    assert [await queue.take() for _ in range(3)] == ["a1", "b0", "a2"]


async def test_taking_waits_until_there_is_a_job():
    queue = FairQueue(max_jobs=1, max_jobs_per_account=1)
    taking = asyncio.create_task(queue.take())
    await asyncio.sleep(0.01)
    assert not taking.done()
    queue.put("a1", account_id="a")
    assert await taking == "a1"


async def test_two_takers_never_get_the_same_job():
    queue = FairQueue(max_jobs=2, max_jobs_per_account=2)
    takers = [asyncio.create_task(queue.take()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.put("a1", account_id="a")
    queue.put("a2", account_id="a")
    done, waiting = await asyncio.wait(takers, timeout=0.1)
    assert sorted(task.result() for task in done) == ["a1", "a2"]
    (last,) = waiting
    last.cancel()


def test_a_full_queue_refuses_with_the_time_to_wait():
    queue = FairQueue(max_jobs=2, max_jobs_per_account=2)
    queue.put("a1", account_id="a")
    queue.reserve("b", retry_after_seconds=9)
    with pytest.raises(Overloaded) as refusal:
        queue.reserve("c", retry_after_seconds=9)
    assert refusal.value.retry_after_seconds == 9


def test_an_account_cannot_fill_the_queue():
    queue = FairQueue(max_jobs=4, max_jobs_per_account=2)
    queue.reserve("a", retry_after_seconds=1)
    queue.put("a1", account_id="a")
    with pytest.raises(RateLimitExceeded):
        queue.reserve("a", retry_after_seconds=1)
    queue.reserve("b", retry_after_seconds=1)


def test_a_place_given_up_is_free_again():
    queue = FairQueue(max_jobs=1, max_jobs_per_account=1)
    queue.reserve("a", retry_after_seconds=1)
    queue.give_up("a")
    queue.reserve("a", retry_after_seconds=1)


def test_a_job_can_be_taken_out_once():
    queue = FairQueue(max_jobs=2, max_jobs_per_account=2)
    queue.put("a1", account_id="a")
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
                queue.put(job_id, account_id=account_id)
                inside.add(job_id)
            elif operation == "take" and inside:
                inside.remove(await queue.take())
            elif operation == "remove":
                job_id = f"{account_id}{index}"
                assert queue.remove(job_id, account_id=account_id) == (job_id in inside)
                inside.discard(job_id)
            assert len(queue) == len(inside)

    asyncio.run(run())
