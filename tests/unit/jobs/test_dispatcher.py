"""Leases, recovery, draining: what keeps jobs and money whole when processes come and go."""

import asyncio

import pytest
from sqlalchemy import text

from danqing.errors import Overloaded
from danqing.jobs.job import JobStatus

ALL = 10_000_000
IMAGE_CREDITS = 210_000
# Real time between heartbeats is a third of this; the fake clock decides what has run out.
QUICK_LEASE_SECONDS = 0.06


async def _until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_draining_lets_running_and_queued_jobs_finish(house):
    service = house.service(max_concurrent_jobs=1)
    await service.start()
    jobs = [await service.submit(house.submission()) for _ in range(3)]
    await service.drain(timeout_seconds=10)
    for job in jobs:
        assert (await service.get(job.id, account_id="acme")).status is JobStatus.COMPLETED


async def test_a_job_that_is_being_written_when_the_drain_begins_is_finished_too(house, monkeypatch):
    service = house.service()
    await service.start()
    may_write, run_write = asyncio.Event(), house.database.run_write

    async def held_up(work):
        monkeypatch.undo()
        await may_write.wait()
        return await run_write(work)

    monkeypatch.setattr(house.database, "run_write", held_up)
    submitting = asyncio.create_task(service.submit(house.submission()))
    await _until(lambda: house.database.run_write == run_write)
    draining = asyncio.create_task(service.drain(timeout_seconds=10))
    await asyncio.sleep(0.05)
    may_write.set()
    await draining
    job = await submitting
    assert (await service.get(job.id, account_id="acme")).status is JobStatus.COMPLETED


async def test_a_draining_service_takes_no_jobs(house):
    service = house.service()
    await service.start()
    assert service.accepting
    await service.drain(timeout_seconds=1)
    assert not service.accepting
    with pytest.raises(Overloaded):
        await service.submit(house.submission())
    assert house.balance() == (ALL, 0)


async def test_what_does_not_finish_in_time_fails_free_of_charge(house):
    house.engine.gate = asyncio.Event()
    service = house.service(max_concurrent_jobs=1)
    await service.start()
    jobs = [await service.submit(house.submission()) for _ in range(2)]
    waiting = [asyncio.create_task(service.wait(job.id, account_id="acme")) for job in jobs]
    await _until(lambda: service.num_running == 1)
    await service.drain(timeout_seconds=0.05)
    for job in await asyncio.gather(*waiting):
        assert (job.status, job.error_code) == (JobStatus.ERROR, "overloaded")
    assert house.engine.num_open == 0
    assert house.balance() == (ALL, 0)


async def test_what_can_be_collected_later_is_handed_to_the_next_process(house):
    house.engine.gate = asyncio.Event()
    first = house.service(max_concurrent_jobs=1)
    await first.start()
    jobs = [await first.submit(house.submission(respond_async=True)) for _ in range(2)]
    await _until(lambda: first.num_running == 1)
    await first.drain(timeout_seconds=0.05)
    house.engine.gate.set()
    async with house.running() as second:
        for job in jobs:
            finished = await second.wait(job.id, account_id="acme")
            assert (finished.status, finished.num_attempts) == (JobStatus.COMPLETED, 1)
    assert house.balance() == (ALL - 2 * IMAGE_CREDITS, 0)


async def test_the_jobs_of_a_dead_process_are_drawn_or_ended_by_the_next(house):
    dead = await _die_with_jobs(house)
    house.clock.advance(seconds=16)
    async with house.running() as service:
        assert (await service.wait(dead["async"], account_id="acme")).status is JobStatus.COMPLETED
        assert (await service.wait(dead["keyed"], account_id="acme")).status is JobStatus.COMPLETED
        assert (await service.wait(dead["sync"], account_id="acme")).error_code == "server_error"
    assert house.balance() == (ALL - 2 * IMAGE_CREDITS, 0)


async def test_a_running_process_takes_over_when_leases_run_out(house):
    async with house.running(lease_seconds=QUICK_LEASE_SECONDS) as service:
        dead = await _die_with_jobs(house)
        house.clock.advance(seconds=16)
        job = await service.wait(dead["async"], account_id="acme")
        assert (job.status, job.num_attempts) == (JobStatus.COMPLETED, 2)


async def test_heartbeats_keep_a_long_job_from_being_taken_over(house):
    house.engine.gate = asyncio.Event()
    async with house.running(lease_seconds=QUICK_LEASE_SECONDS) as worker, house.running() as other:
        job = await worker.submit(house.submission(respond_async=True))
        await _until(lambda: worker.num_running == 1)
        for _ in range(5):
            house.clock.advance(seconds=QUICK_LEASE_SECONDS * 0.9)
            await asyncio.sleep(QUICK_LEASE_SECONDS)
            await other._dispatcher._recover()
        assert (other.num_running, other.num_queued) == (0, 0)
        house.engine.gate.set()
        assert (await other.wait(job.id, account_id="acme")).num_attempts == 1


async def test_a_process_that_stalled_beyond_its_lease_does_not_end_its_own_jobs(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as service:
        job = await service.submit(house.submission())
        await _until(lambda: service.num_running == 1)
        house.clock.advance(seconds=16)
        await service._dispatcher._recover()
        house.engine.gate.set()
        assert (await service.wait(job.id, account_id="acme")).status is JobStatus.COMPLETED


async def test_a_process_that_stalled_while_it_wrote_a_job_does_not_end_it(house, monkeypatch):
    async with house.running() as service:
        run_write = house.database.run_write

        async def written_and_stalled(work):
            monkeypatch.undo()
            job = await run_write(work)
            house.clock.advance(seconds=16)
            await service._dispatcher._recover()
            return job

        monkeypatch.setattr(house.database, "run_write", written_and_stalled)
        job = await service.submit(house.submission())
        assert (await service.wait(job.id, account_id="acme")).status is JobStatus.COMPLETED


async def test_a_job_cancelled_through_another_process_stops_here(house):
    house.engine.gate = asyncio.Event()
    async with house.running(lease_seconds=QUICK_LEASE_SECONDS) as worker, house.running() as other:
        job = await worker.submit(house.submission())
        waiting = asyncio.create_task(worker.wait(job.id, account_id="acme"))
        await _until(lambda: house.engine.num_open == 1)
        await other.cancel(job.id, account_id="acme")
        await _until(lambda: house.engine.num_open == 0)
        assert (await waiting).status is JobStatus.CANCELLED
    assert house.balance() == (ALL, 0)


async def test_a_follower_of_another_processes_job_hears_its_images_and_its_end(house):
    async with house.running() as worker, house.running() as other:
        job = await worker.submit(house.submission())
        events = [event async for event in other.subscribe(job.id, account_id="acme")]
    assert [type(event).__name__ for event in events] == ["ImageDone", "Finished"]


async def test_a_process_that_lost_its_lease_delivers_nothing(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as slow:
        job = await slow.submit(house.submission(respond_async=True))
        await _until(lambda: house.engine.num_open == 1)
        house.clock.advance(seconds=16)
        async with house.running() as other:
            await _until(lambda: house.engine.num_open == 2)
            house.engine.gate.set()
            finished = await other.wait(job.id, account_id="acme")
            assert (await slow.wait(job.id, account_id="acme")) == finished
            await _until(lambda: slow.num_running == 0)
    assert set(house.store.files) == {image.path for image in finished.images}
    assert house.balance() == (ALL - IMAGE_CREDITS, 0)


async def test_a_job_that_waited_too_long_is_ended(house):
    house.engine.gate = asyncio.Event()
    async with house.running(lease_seconds=QUICK_LEASE_SECONDS, max_concurrent_jobs=1, max_queue_seconds=30) as service:
        running = await service.submit(house.submission())
        await _until(lambda: service.num_running == 1)
        queued = await service.submit(house.submission())
        house.clock.advance(seconds=31)
        job = await service.wait(queued.id, account_id="acme")
        assert (job.status, job.error_code) == (JobStatus.ERROR, "generation_timeout")
        assert "30 s" in (job.error_message or "")
        assert (await service.get(running.id, account_id="acme")).status is JobStatus.GENERATING


async def test_a_database_that_fails_at_the_end_leaves_the_job_to_the_next_recovery(house, monkeypatch):
    from danqing.jobs import lifecycle

    def fail(*args, **kwargs):
        raise OSError("the database is away")

    async with house.running(lease_seconds=QUICK_LEASE_SECONDS) as service:
        with monkeypatch.context() as patch:
            patch.setattr(lifecycle, "succeed", fail)
            job = await service.submit(house.submission(respond_async=True))
            await _until(lambda: len(house.store.files) == 1 and service.num_running == 0)
        house.clock.advance(seconds=16)
        finished = await service.wait(job.id, account_id="acme")
        assert (finished.status, finished.num_attempts) == (JobStatus.COMPLETED, 2)


async def test_starting_on_an_empty_database_recovers_nothing(house):
    async with house.running() as service:
        assert (service.num_queued, service.num_running) == (0, 0)


async def _die_with_jobs(house):
    """Leave unfinished jobs as a killed process would: in the database, with a lease, and nowhere else."""
    gate, house.engine.gate = house.engine.gate, asyncio.Event()
    service = house.service()
    await service.start()
    dead = {
        "async": (await service.submit(house.submission(respond_async=True))).id,
        "keyed": (await service.submit(house.submission(idempotency_key="k"))).id,
        "sync": (await service.submit(house.submission())).id,
    }
    await _until(lambda: service.num_running == 3)
    dispatcher = service._dispatcher
    tasks = [*dispatcher._workers, *dispatcher._drawings.values(), dispatcher._heart]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    house.engine.gate = gate
    with house.database.read() as conn:
        statuses = conn.execute(text("SELECT status FROM jobs WHERE lease_owner IS NOT NULL")).scalars().all()
    assert statuses == ["generating"] * 3
    return dead
