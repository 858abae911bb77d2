"""How a job ends, and who learns it."""

import asyncio

from house import ALL, IMAGE_CREDITS, until

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
            await until(lambda: slow.num_running == 0)
    assert set(house.store.files) == {image.path for image in finished.images}
    assert house.balance() == (ALL - IMAGE_CREDITS, 0)
