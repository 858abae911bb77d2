"""The jobs of one process in memory."""

import asyncio

import pytest

from danqing.jobs.job import Finished
from danqing.jobs.limits import JobLimits
from danqing.jobs.local_jobs import LocalJobs


@pytest.fixture
async def local_jobs(house):
    return LocalJobs(limits=JobLimits(), observer=house.observer)


@pytest.fixture
def job(house):
    """An unfinished job, which its test does not end."""
    job = house.write_job()
    yield job
    house.cancel(job)


async def _nothing_is_left(local_jobs):
    waiting = asyncio.create_task(local_jobs.wait_until_empty())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    done = waiting.done()
    waiting.cancel()
    return done


async def test_it_is_empty_until_a_job_is_being_written(local_jobs, job):
    assert await _nothing_is_left(local_jobs)
    with local_jobs.writing(job.id):
        assert not await _nothing_is_left(local_jobs)
        assert local_jobs.ids == [job.id]
        local_jobs.add(job)
    assert not await _nothing_is_left(local_jobs)
    local_jobs.forget(job.id)
    assert await _nothing_is_left(local_jobs)


async def test_a_job_that_ends_leaves_the_queue_stops_its_run_and_tells_its_listeners(local_jobs, job):
    local_jobs.add(job)
    run = asyncio.create_task(asyncio.sleep(60))
    listener = asyncio.create_task(anext(local_jobs.channel(job.id).follow()))
    await asyncio.sleep(0)
    with local_jobs.running(job.id, run):
        assert local_jobs.num_running == 1
        local_jobs.end(job)
        assert await listener == Finished(job=job)
        with pytest.raises(asyncio.CancelledError):
            await run
    assert (len(local_jobs.queue), local_jobs.num_running, local_jobs.find(job.id)) == (0, 0, None)


async def test_the_end_of_a_job_of_another_process_is_nobodys_news(local_jobs, job, house):
    local_jobs.end(job)
    assert house.observer.changes == []
