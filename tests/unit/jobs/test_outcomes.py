"""How a job ends, and who learns it."""

import asyncio
from contextlib import ExitStack

import pytest
from house import ALL, IMAGE_CREDITS, outage, until

from danqing.engine.interface import EngineCrashed, EngineState
from danqing.errors import Overloaded
from danqing.jobs import lifecycle
from danqing.jobs.job import JobStatus


async def test_a_follower_of_a_cancelled_job_hears_its_end(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as service:
        job = await service.submit(house.submission())
        waiting = asyncio.create_task(service.wait(job.id, account_id="acme"))
        await until(lambda: house.engine.num_open)
        await service.cancel(job.id, account_id="acme")
        assert (await waiting).status is JobStatus.CANCELLED


async def test_a_process_that_lost_its_lease_delivers_nothing(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as slow:
        job = await slow.submit(house.submission(respond_async=True))
        await until(lambda: house.engine.num_open == 1)
        house.clock.advance(seconds=16)
        async with house.running() as other:
            await until(lambda: house.engine.num_open == 2)
            house.engine.gate.set()
            finished = await other.wait(job.id, account_id="acme")
            assert (await slow.wait(job.id, account_id="acme")) == finished
            await until(lambda: set(house.store.files) == {image.path for image in finished.images})
    assert house.balance() == (ALL - IMAGE_CREDITS, 0)


async def test_a_caller_whose_result_cannot_be_written_gets_503_at_once_and_is_not_charged(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as service:
        job = await service.submit(house.submission())
        waiting = asyncio.create_task(service.wait(job.id, account_id="acme"))
        await until(lambda: house.engine.num_open == 1)
        with outage(house):
            house.engine.gate.set()
            with pytest.raises(Overloaded, match="database"):
                await waiting
            with pytest.raises(Overloaded):
                await service.wait(job.id, account_id="acme")
            with pytest.raises(Overloaded):
                await service.heartbeat()
        await service.heartbeat()
        assert (await service.get(job.id, account_id="acme")).error_code == "overloaded"
    assert house.balance() == (ALL, 0)


async def test_a_result_that_can_be_collected_is_kept_and_written_after_the_outage(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as service:
        job = await service.submit(house.submission(respond_async=True))
        await until(lambda: house.engine.num_open == 1)
        with outage(house):
            house.engine.gate.set()
            await until(lambda: service.num_running == 0)
            assert (await service.get(job.id, account_id="acme")).status is JobStatus.GENERATING
        await service.heartbeat()
        ended = await service.get(job.id, account_id="acme")
        assert (ended.status, ended.num_attempts) == (JobStatus.COMPLETED, 1)
    assert set(house.store.files) == {image.path for image in ended.images}
    assert house.balance() == (ALL - IMAGE_CREDITS, 0)


async def test_a_job_that_the_database_does_not_let_begin_fails_or_is_retried_after_the_outage(house):
    house.engine.state = EngineState.STARTING
    async with house.running() as service:
        lost = await service.submit(house.submission())
        kept = await service.submit(house.submission(respond_async=True))
        waiting = asyncio.create_task(service.wait(lost.id, account_id="acme"))
        with outage(house):
            house.engine.state = EngineState.READY
            with pytest.raises(Overloaded):
                await waiting
            await until(lambda: service.num_queued == 0)
        await service.heartbeat()
        assert (await service.wait(kept.id, account_id="acme")).status is JobStatus.COMPLETED
        assert (await service.wait(lost.id, account_id="acme")).error_code == "overloaded"
    assert house.balance() == (ALL - IMAGE_CREDITS, 0)


async def test_a_failure_that_cannot_be_written_is_told_as_what_it_is(house):
    house.engine.gate, house.engine.failure = asyncio.Event(), EngineCrashed("it died twice")
    house.engine.state = EngineState.STARTING
    async with house.running() as service:
        job = await service.submit(house.submission())
        waiting = asyncio.create_task(service.wait(job.id, account_id="acme"))
        start = lifecycle.start
        with pytest.MonkeyPatch.context() as patch:
            stack = ExitStack()

            def last_write(*args, **kwargs):
                started = start(*args, **kwargs)
                stack.enter_context(outage(house))
                return started

            patch.setattr(lifecycle, "start", last_write)
            house.engine.state = EngineState.READY
            with stack, pytest.raises(EngineCrashed):
                await waiting
        await service.heartbeat()
        assert (await service.get(job.id, account_id="acme")).error_code == "engine_crashed"
    assert house.balance() == (ALL, 0)


async def test_a_hang_up_during_an_outage_stops_the_engine_and_costs_nothing(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as service:
        job = await service.submit(house.submission())
        await until(lambda: house.engine.num_open == 1)
        with outage(house):
            await service.abandon(job)
            await until(lambda: house.engine.num_open == 0)
        await service.heartbeat()
        assert (await service.get(job.id, account_id="acme")).status is JobStatus.CANCELLED
    assert house.balance() == (ALL, 0)


async def test_a_drain_during_an_outage_ends_and_the_next_process_settles(house):
    house.engine.gate = asyncio.Event()
    service = house.service()
    await service.start()
    jobs = [await service.submit(house.submission(respond_async=index == 0)) for index in range(2)]
    await until(lambda: house.engine.num_open == 2)
    with outage(house):
        await service.drain(timeout_seconds=0)
    house.engine.gate.set()
    house.clock.advance(seconds=16)
    async with house.running() as second:
        assert (await second.wait(jobs[0].id, account_id="acme")).status is JobStatus.COMPLETED
        assert (await second.wait(jobs[1].id, account_id="acme")).status is JobStatus.ERROR
    assert house.balance() == (ALL - IMAGE_CREDITS, 0)
