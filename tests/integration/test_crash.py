"""Processes killed at random points under load: nothing is lost, nothing is charged twice, no file stays without a job.

The database and the files are real, and so are the processes and the signal; only the engine is a fake.
"""

import asyncio
import json
import multiprocessing
import random
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes import REQUEST, FakeEngine, FakeExpander, FakeImageCheck, FakeObserver, FakePromptCheck
from sqlalchemy import select

from danqing.accounts import credits
from danqing.accounts.bootstrap import bootstrap
from danqing.accounts.pricing import Price
from danqing.database import Database
from danqing.jobs.body_fingerprint import BodyFingerprint
from danqing.jobs.job import Origin, Submission
from danqing.jobs.limits import JobLimits
from danqing.jobs.ports import JobParts
from danqing.jobs.service import JobService
from danqing.jobs.tables import jobs
from danqing.reports import audit

NUM_KILLS = 25
STARTING_CREDITS = 10**12
LIMITS = JobLimits(lease_seconds=0.3)


class FolderStore:
    """Writes files as they come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def put(self, data: bytes, *, content_type: str, extension: str) -> str:
        path = f"{secrets.token_hex(8)}.{extension}"
        (self.folder / path).write_bytes(data)
        return path

    async def delete(self, path: str) -> None:
        (self.folder / path).unlink(missing_ok=True)


def _now():
    return datetime.now(UTC)


def _service(database, folder):
    parts = JobParts(
        engine=FakeEngine(),
        store=FolderStore(folder),
        prompt_check=FakePromptCheck(),
        image_check=FakeImageCheck(),
        expander=FakeExpander(),
        observer=FakeObserver(),
    )
    return JobService(database, parts=parts, limits=LIMITS, price=Price(), clock=_now)


def _work_until_killed(url, folder, key, started):
    """A server's life: submit jobs of every sort without end, and cancel some."""

    async def live():
        service = _service(Database(url), folder)
        await service.start()

        async def client():
            while True:
                collect = random.choice([{}, {"respond_async": True}, {"idempotency_key": secrets.token_hex(4)}])
                submission = Submission(
                    request=REQUEST,
                    account_id="default",
                    api_key_id=key,
                    origin=Origin.API,
                    body_fingerprint=BodyFingerprint(in_effect="f", as_written="f"),
                    **collect,
                )
                job = await service.submit(submission)
                if random.random() < 0.2:
                    await service.cancel(job.id, account_id="default")
                await service.wait(job.id, account_id="default")
                started.set()

        await asyncio.gather(*(client() for _ in range(6)))

    asyncio.run(live())


def test_killed_again_and_again_the_books_and_the_jobs_agree(empty_database_url, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    database = Database(empty_database_url)
    database.migrate()
    with database.write() as conn:
        key = bootstrap(conn, starting_credits=STARTING_CREDITS, now=_now()).key.api_key.prefix
    # Spawned from a server that has loaded everything, a process is up in milliseconds.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["danqing.jobs.service", "pg8000", "fakes"])
    for _ in range(NUM_KILLS):
        started = processes.Event()
        victim = processes.Process(target=_work_until_killed, args=(empty_database_url, folder, key, started))
        victim.start()
        assert started.wait(30), "no job was finished"
        time.sleep(random.uniform(0, 0.2))
        victim.kill()
        victim.join()
    asyncio.run(_recover_everything(database, folder))
    with database.read() as conn:
        assert audit.check(conn) == []
        rows = conn.execute(select(jobs)).all()
        balance = credits.balance(conn, "default")
    database.close()
    assert {row.status for row in rows} <= {"completed", "error", "cancelled"}
    assert all(bool(row.images) == (row.status == "completed") == (row.charged_credits > 0) for row in rows)
    assert balance.available_credits == STARTING_CREDITS - sum(row.charged_credits for row in rows)
    named = {image["path"] for row in rows for image in row.images}
    assert named <= {path.name for path in folder.iterdir()}
    print(json.dumps({"jobs": len(rows), "recovered": sum(row.num_attempts > 1 for row in rows)}))


async def _recover_everything(database, folder):
    await asyncio.sleep(LIMITS.lease_seconds)
    service = _service(database, folder)
    await service.start()
    await service.drain(timeout_seconds=60)


@pytest.fixture(autouse=True)
def _same_dice_each_time():
    random.seed(7)
