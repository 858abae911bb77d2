"""A house with a history, for the tests of reports."""

import pytest
from fakes import IMAGE
from house import house  # noqa: F401

from danqing.errors import ServiceError
from danqing.jobs import lifecycle
from danqing.jobs.job import JobResult


@pytest.fixture
def history(house):  # noqa: F811
    """Three jobs of acme, an hour apart (one failed, two done), and one of umbrella; their ids, oldest first."""
    ids = [_job(house, "acme", done=False)]
    for _ in range(2):
        house.clock.advance(hours=1)
        ids.append(_job(house, "acme", done=True))
    _job(house, "umbrella", done=True)
    return ids


def _job(house, account_id, *, done):  # noqa: F811
    job = house.write_job(account_id=account_id, started=True)
    with house.database.write() as conn:
        if done:
            result = JobResult(images=(IMAGE,), engine="fake", safety={}, warnings=(), expanded_prompt=None)
            return lifecycle.succeed(conn, job, result, lease_owner="me", now=house.clock()).id
        return lifecycle.fail(conn, job, ServiceError(), lease_owner="me", now=house.clock()).id
