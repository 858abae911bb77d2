"""The log of an account's requests."""

from datetime import timedelta

import pytest

from danqing.errors import InvalidRequest
from danqing.jobs.job import JobStatus
from danqing.reports.logs import list_logs


def test_logs_show_the_account_newest_first(house, history):
    page = _logs(house)
    assert [job.id for job in page.jobs] == history[::-1]
    assert page.num_total == 3


def test_logs_come_in_pages(house, history):
    page = _logs(house, limit=1, offset=1)
    assert ([job.id for job in page.jobs], page.num_total) == ([history[1]], 3)


def test_logs_can_be_restricted_by_status_and_time(house, history):
    assert [job.id for job in _logs(house, statuses=frozenset({JobStatus.ERROR})).jobs] == [history[0]]
    recent = _logs(house, created_from=house.clock() - timedelta(minutes=30))
    assert [job.id for job in recent.jobs] == [history[2]]


@pytest.mark.parametrize(
    ("bad", "param"), [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"offset": -1}, "offset")]
)
def test_a_page_out_of_range_is_refused_by_name(house, bad, param):
    with pytest.raises(InvalidRequest) as refusal:
        _logs(house, **bad)
    assert refusal.value.param == param


def _logs(house, **changes):
    asked = {
        "created_from": house.clock() - timedelta(days=1),
        "statuses": frozenset(JobStatus),
        "limit": 100,
        "offset": 0,
        **changes,
    }
    with house.database.read() as conn:
        return list_logs(conn, account_id="acme", **asked)
