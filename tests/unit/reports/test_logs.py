"""The log of a key's requests."""

from datetime import timedelta

import pytest

from danqing.errors import InvalidRequest
from danqing.pictures.request import MODEL_ID
from danqing.reports.logs import list_logs
from danqing.reports.outcomes import Outcome
from danqing.reports.windows import KeyWindow


def test_logs_show_the_requests_of_the_key_newest_first(house, history):
    page = _logs(house)
    assert [job.id for job in page.jobs] == history[::-1]
    assert page.num_total == 3


def test_logs_come_in_pages(house, history):
    page = _logs(house, limit=1, offset=1)
    assert ([job.id for job in page.jobs], page.num_total) == ([history[1]], 3)


def test_logs_can_be_restricted_by_outcome_and_model(house, history):
    assert [job.id for job in _logs(house, outcomes=[Outcome.FAILED]).jobs] == [history[0]]
    assert [job.id for job in _logs(house, outcomes=[Outcome.SUCCEEDED]).jobs] == history[:0:-1]
    assert _logs(house, models=[MODEL_ID, "other"]).num_total == 3
    assert _logs(house, models=["other"]).num_total == 0
    assert _logs(house, outcomes=[]).num_total == 0


def test_a_window_includes_its_start_and_not_its_end(house, history):
    last = house.clock()
    assert _logs(house, start=last, end=last + timedelta(microseconds=1)).num_total == 1
    assert _logs(house, end=last).num_total == 2


def test_requests_that_are_not_finished_are_left_out(house, history):
    house.cancel(house.write_job())
    running = house.write_job(started=True)
    assert _logs(house).num_total == 4
    house.cancel(running)
    assert _logs(house, outcomes=[Outcome.FAILED]).num_total == 3


@pytest.mark.parametrize(
    ("bad", "param"), [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"offset": -1}, "offset")]
)
def test_a_page_out_of_range_is_refused_by_name(house, bad, param):
    with pytest.raises(InvalidRequest) as refusal:
        _logs(house, **bad)
    assert refusal.value.param == param


def _logs(house, *, start=None, end=None, **changes):
    now = house.clock()
    window = KeyWindow(
        account_id="acme",
        api_key_id=house.keys["acme"],
        start=start or now - timedelta(days=1),
        end=end or now + timedelta(microseconds=1),
    )
    with house.database.read() as conn:
        return list_logs(conn, window, **{"limit": 100, "offset": 0, **changes})
