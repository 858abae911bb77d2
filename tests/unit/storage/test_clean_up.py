"""The clean-up of stored pictures."""

import asyncio
import logging

import pytest

from danqing.errors import Overloaded
from danqing.storage.clean_up import clean_up_for_ever


class Store:
    """Has as many expired pictures as it is told; an exception is raised."""

    def __init__(self, outcomes):
        self.outcomes = outcomes
        self.done = asyncio.Event()

    async def delete_expired(self):
        outcome = self.outcomes.pop(0)
        if not self.outcomes:
            self.done.set()
            await asyncio.Event().wait()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.mark.parametrize("failure", [OSError("the disk is away"), Overloaded("the bucket is away")])
async def test_it_goes_on_after_a_failure_and_logs_what_it_deleted(failure, caplog):
    caplog.set_level(logging.INFO)
    store = Store([failure, 0, 3, 0])
    cleaning = asyncio.create_task(clean_up_for_ever(store, interval_seconds=0))
    async with asyncio.timeout(10):
        await store.done.wait()
    cleaning.cancel()
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]
    assert caplog.records[1].num_deleted == 3
