"""A running job service on a database of either kind, with fakes around it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fakes import REQUEST, FakeEngine, FakeExpander, FakeImageCheck, FakeObserver, FakePromptCheck, FakeStore

from danqing.accounts import credits
from danqing.accounts.accounts import create_account
from danqing.accounts.api_keys import create_key
from danqing.accounts.pricing import Price
from danqing.database import Database
from danqing.jobs.job import Origin, Submission
from danqing.jobs.limits import JobLimits
from danqing.jobs.ports import JobParts
from danqing.jobs.service import JobService

STARTING_CREDITS = 10_000_000
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
                    amount_credits=STARTING_CREDITS,
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
            body_fingerprint="f",
        )
        return replace(submission, **changes)

    def service(self, **limits: Any) -> JobService:
        parts = JobParts(
            engine=self.engine,
            store=self.store,
            prompt_check=self.prompt_check,
            image_check=self.image_check,
            expander=self.expander,
            observer=self.observer,
        )
        return JobService(self.database, parts=parts, limits=JobLimits(**limits), price=Price(), clock=self.clock)

    @asynccontextmanager
    async def running(self, **limits: Any) -> AsyncIterator[JobService]:
        service = self.service(**limits)
        await service.start()
        try:
            yield service
        finally:
            await service.drain(timeout_seconds=0)

    def balance(self, account_id: str = "acme") -> tuple[int, int]:
        with self.database.read() as conn:
            balance = credits.balance(conn, account_id)
        return balance.available_credits, balance.held_credits


@pytest.fixture
def house(database, clock):
    """A house whose books agree at the end of every test."""
    from danqing.jobs import audit

    house = House(database=database, clock=clock)
    house.open_accounts()
    yield house
    with database.read() as conn:
        assert audit.check(conn) == []
