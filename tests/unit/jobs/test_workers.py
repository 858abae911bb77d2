"""Workers take jobs from the queue, run them, and free the engine."""

import asyncio

from house import ALL, finished, until

from danqing.engine.interface import EngineState
from danqing.jobs.job import JobStatus


async def test_a_job_over_its_time_limit_fails_and_the_engine_is_free(house):
    house.engine.gate = asyncio.Event()
    async with house.running(job_time_limit_seconds=0.05) as service:
        job = await finished(service, house.submission())
        assert house.engine.num_open == 0
    assert (job.status, job.error_code) == (JobStatus.ERROR, "generation_timeout")
    assert house.balance() == (ALL, 0)


async def test_cancelling_a_running_job_frees_the_engine_within_one_step(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as service:
        job = await service.submit(house.submission(num_inference_steps=50))
        await until(lambda: house.engine.num_open)
        cancelled = await service.cancel(job.id, account_id="acme")
        await until(lambda: not house.engine.num_open)
        assert house.engine.num_steps_done <= 1
        assert cancelled.status is JobStatus.CANCELLED
        assert (await service.wait(job.id, account_id="acme")).error_code == "cancelled"
    assert house.balance() == (ALL, 0)
    assert house.observer.statuses(job.id) == ["queued", "generating", "cancelled"]


async def test_no_more_jobs_run_at_once_than_allowed(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=3) as service:
        jobs = [await service.submit(house.submission()) for _ in range(8)]
        await until(lambda: house.engine.num_open == 3)
        house.engine.gate.set()
        for job in jobs:
            await service.wait(job.id, account_id="acme")
    assert house.engine.max_num_open == 3


async def test_more_jobs_run_at_once_while_there_are_more_replicas(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=2) as service:
        jobs = [await service.submit(house.submission()) for _ in range(3)]
        await until(lambda: house.engine.num_open == 2)
        house.engine.num_replicas = 3
        house.engine.gate.set()
        for job in jobs:
            await service.wait(job.id, account_id="acme")
        house.engine.gate.clear()
        jobs = [await service.submit(house.submission()) for _ in range(8)]
        await until(lambda: house.engine.num_open == 6)
        house.engine.num_replicas = 1
        house.engine.gate.set()
        for job in jobs:
            await service.wait(job.id, account_id="acme")
        await until(lambda: house.engine.num_open == 0)
    assert house.engine.max_num_open == 6


async def test_two_accounts_take_turns_however_much_one_asks(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=1) as service:
        jobs = [await service.submit(house.submission()) for _ in range(5)]
        await until(lambda: service.num_running == 1)
        late = await service.submit(house.submission("umbrella", seed=99))
        house.engine.gate.set()
        for job in jobs:
            await service.wait(job.id, account_id="acme")
        await service.wait(late.id, account_id="umbrella")
    assert [request.seed for request in house.engine.requests].index(99) == 2


async def test_jobs_wait_for_an_engine_that_is_still_starting(house):
    house.engine.state = EngineState.STARTING
    async with house.running() as service:
        job = await service.submit(house.submission())
        await asyncio.sleep(0.1)
        assert service.num_queued == 1
        house.engine.state = EngineState.READY
        assert (await service.wait(job.id, account_id="acme")).status is JobStatus.COMPLETED
