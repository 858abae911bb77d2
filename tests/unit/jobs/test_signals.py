"""The end of a job that another process works on, told by PostgreSQL at once."""

import asyncio

import pytest
from house import House, until
from sqlalchemy import text

from danqing.jobs import signals
from danqing.jobs.job import JobStatus


@pytest.fixture
def postgresql_house(migrated_postgresql, clock):
    house = House(database=migrated_postgresql, clock=clock)
    house.open_accounts()
    yield house
    with migrated_postgresql.write() as conn:
        conn.execute(text("TRUNCATE accounts CASCADE"))


@pytest.fixture
def no_polling(monkeypatch):
    """A caller that would learn of an end by polling never does."""
    monkeypatch.setattr(signals, "SIGNALLED_POLL_SECONDS", 1e6)


async def listening(*services):
    await until(lambda: all(service._signals.poll_seconds == signals.SIGNALLED_POLL_SECONDS for service in services))


async def test_the_end_of_another_processes_job_arrives_without_polling(postgresql_house, no_polling):
    house = postgresql_house
    house.engine.gate = asyncio.Event()
    async with house.running() as worker, house.running() as other:
        await listening(other)
        job = await worker.submit(house.submission())
        waiting = asyncio.create_task(other.wait(job.id, account_id="acme"))
        await until(lambda: worker.num_running == 1 and other._signals._watches)
        house.engine.gate.set()
        assert (await waiting).status is JobStatus.COMPLETED


async def test_a_cancellation_by_another_process_stops_the_run_at_once(postgresql_house):
    house = postgresql_house
    house.engine.gate = asyncio.Event()
    async with house.running() as worker, house.running() as other:
        await listening(worker)
        job = await worker.submit(house.submission())
        await until(lambda: worker.num_running == 1)
        await other.cancel(job.id, account_id="acme")
        # Leases live for 15 seconds here, and heartbeats come every 5.
        async with asyncio.timeout(4):
            await until(lambda: worker.num_running == 0)


async def test_callers_poll_while_the_connection_is_lost_and_it_comes_back(postgresql_house):
    house = postgresql_house
    async with house.running() as service:
        await listening(service)
        with house.database.write() as conn:
            listens = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN %'"
            conn.execute(text(listens))
        await until(lambda: service._signals.poll_seconds == signals.POLL_SECONDS)
        await listening(service)


async def test_every_watcher_of_a_job_is_woken_and_forgotten():
    job_signals = signals.JobSignals(None)
    with job_signals.watching("a") as first, job_signals.watching("a") as second, job_signals.watching("b") as third:
        job_signals._wake("a")
        assert first.woken.is_set()
        assert second.woken.is_set()
        assert not third.woken.is_set()
    assert job_signals._watches == {}
