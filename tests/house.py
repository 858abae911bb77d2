"""A running job service on a database of either kind, with fakes around it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from fakes import REQUEST, FakeEngine, FakeExpander, FakeImageCheck, FakeObserver, FakePromptCheck, FakeStore

from danqing.accounts import credits
from danqing.accounts.accounts import create_account
from danqing.accounts.api_keys import create_key
from danqing.accounts.pricing import Price
from danqing.database import Database
from danqing.errors import Overloaded
from danqing.jobs import lifecycle
from danqing.jobs.body_fingerprint import BodyFingerprint
from danqing.jobs.job import Job, Origin, Submission
from danqing.jobs.lifecycle import Lease
from danqing.jobs.limits import JobLimits
from danqing.jobs.ports import JobParts
from danqing.jobs.service import JobService
from danqing.reports import audit

ALL = 10_000_000
IMAGE_CREDITS = 210_000


@dataclass
class House:
    """A database with two accounts of equal wealth, and the fakes that its services share."""

    database: Database
    clock: Callable[[], Any]
    keys: dict[str, str] = field(default_factory=dict)
    engine: FakeEngine = field(default_factory=FakeEngine)
    store: FakeStore = field(default_factory=FakeStore)
    prompt_check: FakePromptCheck = field(default_factory=FakePromptCheck)
    image_check: FakeImageCheck = field(default_factory=FakeImageCheck)
    expander: FakeExpander = field(default_factory=FakeExpander)
    observer: FakeObserver = field(default_factory=FakeObserver)

    def open_accounts(self) -> None:
        with self.database.write() as conn:
            for account_id in ("acme", "umbrella"):
                create_account(conn, account_id, name=account_id, now=self.clock())
                credits.grant(
                    conn,
                    account_id=account_id,
                    grant_id=account_id,
                    amount_credits=ALL,
                    now=self.clock(),
                )
                key = create_key(conn, account_id=account_id, name="key", now=self.clock())
                self.keys[account_id] = key.api_key.prefix

    def submission(self, account_id: str = "acme", **changes: Any) -> Submission:
        """A submission with these changes, which may be to its parameters as well."""
        of_parameters = {name: changes.pop(name) for name in list(changes) if hasattr(REQUEST, name)}
        submission = Submission(
            request=replace(REQUEST, **of_parameters),
            account_id=account_id,
            api_key_id=self.keys[account_id],
            origin=Origin.API,
            body_fingerprint=BodyFingerprint(in_effect="f", as_written="f"),
        )
        return replace(submission, **changes)

    def parts(self) -> JobParts:
        return JobParts(
            engine=self.engine,
            store=self.store,
            prompt_check=self.prompt_check,
            image_check=self.image_check,
            expander=self.expander,
            observer=self.observer,
        )

    def service(self, **limits: Any) -> JobService:
        return JobService(
            self.database, parts=self.parts(), limits=JobLimits(**limits), price=Price(), clock=self.clock
        )

    @asynccontextmanager
    async def running(self, **limits: Any) -> AsyncIterator[JobService]:
        service = self.service(**limits)
        await service.start()
        try:
            yield service
        finally:
            await service.drain(timeout_seconds=0)

    def lease(self, owner: str = "me") -> Lease:
        return Lease(owner=owner, expires_at=self.clock() + timedelta(seconds=15))

    def write_job(self, *, owner: str = "me", started: bool = False, **changes: Any) -> Job:
        """A job in the database and nowhere else, as a process leaves it that was killed."""
        submission, lease, now = self.submission(**changes), self.lease(owner), self.clock()
        with self.database.write() as conn:
            job = lifecycle.submit(conn, submission, price=Price(), safety={}, max_running=256, lease=lease, now=now)
            return lifecycle.start(conn, job, lease=lease, now=now) if started else job

    def cancel(self, job: Job) -> Job:
        with self.database.write() as conn:
            return lifecycle.cancel(conn, job.id, now=self.clock())

    def stored(self, job: Job) -> Job:
        """The job as the database has it now."""
        with self.database.read() as conn:
            return lifecycle.get(conn, job.id)

    def balance(self, account_id: str = "acme") -> tuple[int, int]:
        with self.database.read() as conn:
            balance = credits.balance(conn, account_id)
        return balance.available_credits, balance.held_credits


@pytest.fixture
def house(database, clock):
    """A house whose books agree at the end of every test."""
    house = House(database=database, clock=clock)
    house.open_accounts()
    yield house
    with database.read() as conn:
        assert audit.check(conn) == []


@contextmanager
def outage(house: House) -> Iterator[None]:
    """No transaction that writes can be made meanwhile, as when the disk is full."""
    run_write = house.database.run_write

    async def refuse(work: object, **options: object) -> None:
        raise Overloaded("The database cannot be reached or has no room; try again later.")

    house.database.run_write = refuse
    try:
        yield
    finally:
        house.database.run_write = run_write


async def until(condition: Callable[[], object]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


async def finished(service: JobService, submission: Submission) -> Job:
    """Submit and wait for the end."""
    job = await service.submit(submission)
    return await service.wait(job.id, account_id=job.account_id)
