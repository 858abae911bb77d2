"""Leases and recovery: what keeps jobs and money whole when processes come and go."""

import asyncio

import pytest
from house import ALL, IMAGE_CREDITS, until

from danqing.accounts import api_keys
from danqing.accounts.api_keys import KeyPatch
from danqing.engine.interface import EngineState
from danqing.jobs.job import JobStatus
from danqing.jobs.leases import Heartbeat, LeaseTerms
from danqing.jobs.limits import JobLimits
from danqing.jobs.local_jobs import LocalJobs
from danqing.jobs.outcomes import Outcomes

# A third of this lies between two heartbeats; the fake clock decides which leases have run out.
QUICK_LEASE_SECONDS = 0.06


async def test_the_jobs_of_a_dead_process_are_drawn_or_ended_by_the_next(house):
    asynchronous, keyed, synchronous = _die_with_jobs(house)
    house.clock.advance(seconds=16)
    async with house.running() as service:
        assert (await service.wait(asynchronous.id, account_id="acme")).status is JobStatus.COMPLETED
        assert (await service.wait(keyed.id, account_id="acme")).status is JobStatus.COMPLETED
        assert (await service.wait(synchronous.id, account_id="acme")).error_code == "server_error"
    assert house.balance() == (ALL - 2 * IMAGE_CREDITS, 0)


async def test_a_running_process_takes_over_by_itself_when_leases_run_out(house):
    async with house.running(lease_seconds=QUICK_LEASE_SECONDS) as service:
        lost, *_ = _die_with_jobs(house)
        house.clock.advance(seconds=16)
        job = await service.wait(lost.id, account_id="acme")
        assert (job.status, job.num_attempts) == (JobStatus.COMPLETED, 2)


async def test_heartbeats_keep_a_long_job_from_being_taken_over(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as worker, house.running() as other:
        job = await worker.submit(house.submission(respond_async=True))
        await until(lambda: worker.num_running == 1)
        for _ in range(5):
            house.clock.advance(seconds=14)
            await worker.heartbeat()
            await other.heartbeat()
        assert (other.num_running, other.num_queued) == (0, 0)
        house.engine.gate.set()
        assert (await other.wait(job.id, account_id="acme")).num_attempts == 1


async def test_a_job_cancelled_through_another_process_stops_here(house):
    house.engine.gate = asyncio.Event()
    async with house.running() as worker, house.running() as other:
        job = await worker.submit(house.submission())
        waiting = asyncio.create_task(worker.wait(job.id, account_id="acme"))
        await until(lambda: house.engine.num_open == 1)
        await other.cancel(job.id, account_id="acme")
        await worker.heartbeat()
        await until(lambda: house.engine.num_open == 0)
        assert (await waiting).status is JobStatus.CANCELLED
    assert house.balance() == (ALL, 0)


async def test_a_job_that_waited_too_long_is_ended(house):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=1, max_queue_seconds=30) as service:
        running = await service.submit(house.submission())
        await until(lambda: service.num_running == 1)
        queued = await service.submit(house.submission())
        house.clock.advance(seconds=31)
        await service.heartbeat()
        job = await service.wait(queued.id, account_id="acme")
        assert (job.status, job.error_code) == (JobStatus.ERROR, "generation_timeout")
        assert "30 s" in (job.error_message or "")
        assert (await service.get(running.id, account_id="acme")).status is JobStatus.GENERATING


@pytest.mark.parametrize("end_key", ["revoke", "disable"])
async def test_the_queued_jobs_of_a_key_that_ends_end_uncharged_and_its_running_ones_are_finished(house, end_key):
    house.engine.gate = asyncio.Event()
    async with house.running(max_concurrent_jobs=1) as service:
        running = await service.submit(house.submission())
        await until(lambda: service.num_running == 1)
        queued = [await service.submit(house.submission()) for _ in range(2)]
        other = await service.submit(house.submission("umbrella"))
        _end_key(house, end_key)
        await service.heartbeat()
        for job in queued:
            ended = await service.wait(job.id, account_id="acme")
            assert (ended.status, ended.error_code) == (JobStatus.CANCELLED, "cancelled")
            assert "revoked or disabled" in ended.error_message
        house.engine.gate.set()
        assert (await service.wait(running.id, account_id="acme")).status is JobStatus.COMPLETED
        assert (await service.wait(other.id, account_id="umbrella")).status is JobStatus.COMPLETED
    assert house.balance() == (ALL - IMAGE_CREDITS, 0)


async def test_a_job_whose_key_ended_is_not_drawn_even_before_a_heartbeat(house):
    house.engine.state = EngineState.STARTING
    async with house.running() as service:
        job = await service.submit(house.submission())
        _end_key(house, "revoke")
        house.engine.state = EngineState.READY
        assert (await service.wait(job.id, account_id="acme")).status is JobStatus.CANCELLED
    assert house.engine.requests == []
    assert house.balance() == (ALL, 0)


async def test_starting_on_an_empty_database_recovers_nothing(house):
    async with house.running() as service:
        assert (service.num_queued, service.num_running) == (0, 0)


async def test_a_process_that_stalled_beyond_its_lease_does_not_end_its_own_jobs(house, pulse):
    job = house.write_job(owner=pulse.owner)
    pulse.local_jobs.add(job)
    house.clock.advance(seconds=16)
    await pulse.heartbeat.recover()
    assert house.stored(job).status is JobStatus.QUEUED
    await pulse.outcomes.leave(job)


async def test_a_process_that_stalled_while_it_wrote_a_job_does_not_end_it(house, pulse):
    submission = house.submission()
    with pulse.local_jobs.writing(submission.job_id):
        job = house.write_job(owner=pulse.owner, job_id=submission.job_id)
        house.clock.advance(seconds=16)
        await pulse.heartbeat.recover()
        assert house.stored(job).status is JobStatus.QUEUED
        pulse.local_jobs.add(job)
    await pulse.outcomes.leave(job)


class Pulse:
    """A heartbeat and what it works on, without workers."""

    def __init__(self, house):
        limits = JobLimits()
        terms = LeaseTerms(lease_seconds=limits.lease_seconds, clock=house.clock)
        self.owner = terms.owner
        self.local_jobs = LocalJobs(limits=limits, observer=house.observer)
        self.outcomes = Outcomes(house.database, local_jobs=self.local_jobs, lease_owner=terms.owner, clock=house.clock)
        self.heartbeat = Heartbeat(
            house.database,
            local_jobs=self.local_jobs,
            outcomes=self.outcomes,
            lease_terms=terms,
            observer=house.observer,
            limits=limits,
            clock=house.clock,
        )


@pytest.fixture
async def pulse(house):
    return Pulse(house)


def _end_key(house, way):
    prefix = house.keys["acme"]
    with house.database.write() as conn:
        if way == "revoke":
            api_keys.revoke_key(conn, prefix, account_id="acme", now=house.clock())
        else:
            patch = KeyPatch(name="key", disabled=True, scopes=(), limit=None)
            api_keys.change_key(conn, prefix, account_id="acme", change=lambda _: patch, now=house.clock())


def _die_with_jobs(house):
    return [
        house.write_job(owner="dead", started=True, respond_async=True),
        house.write_job(owner="dead", started=True, idempotency_key="k"),
        house.write_job(owner="dead", started=True),
    ]
