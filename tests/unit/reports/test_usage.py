"""Usage, summed."""

from datetime import timedelta

from danqing.jobs.job import JobStatus
from danqing.reports.usage import usage


def test_usage_sums_by_model_and_status(house, history):
    with house.database.read() as conn:
        rows = usage(conn, account_id="acme", created_from=house.clock() - timedelta(days=1))
    assert [(row.status, row.num_requests, row.charged_credits) for row in rows] == [
        (JobStatus.COMPLETED, 2, 420_000),
        (JobStatus.ERROR, 1, 0),
    ]
    assert all(type(row.charged_credits) is int for row in rows)
