"""Logs, usage and transactions."""

from datetime import timedelta

import pytest

from danqing.accounts.pricing import Price
from danqing.errors import InvalidRequest, ServiceError
from danqing.jobs import lifecycle, reports
from danqing.jobs.job import JobImage, JobStatus
from danqing.jobs.lifecycle import Drawing, Lease
from danqing.jobs.reports import Direction, TransactionFilter, TransactionType

IMAGE = JobImage(
    image_index=0,
    seed=7,
    path="p",
    width_px=8,
    height_px=6,
    content_type="image/png",
    flagged=False,
    revised_prompt=None,
)
EVERY_STATUS = frozenset(JobStatus)


@pytest.fixture
def history(house):
    """Three jobs of acme, an hour apart (one failed, two done), and one of umbrella; their ids, oldest first."""
    ids = [_job(house, "acme", done=False)]
    for _ in range(2):
        house.clock.advance(hours=1)
        ids.append(_job(house, "acme", done=True))
    _job(house, "umbrella", done=True)
    return ids


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


def test_usage_sums_by_model_and_status(house, history):
    with house.database.read() as conn:
        rows = reports.usage(conn, account_id="acme", created_from=house.clock() - timedelta(days=1))
    assert [(row.status, row.num_requests, row.charged_credits) for row in rows] == [
        (JobStatus.COMPLETED, 2, 420_000),
        (JobStatus.ERROR, 1, 0),
    ]
    assert all(type(row.charged_credits) is int for row in rows)


def test_transactions_show_what_came_and_what_was_spent_and_no_holds(house, history):
    page = _transactions(house)
    assert [(entry.direction, entry.type, entry.amount_credits) for entry in page.transactions] == [
        (Direction.CHARGE, TransactionType.MODEL_USAGE, 210_000),
        (Direction.CHARGE, TransactionType.MODEL_USAGE, 210_000),
        (Direction.TOPUP, TransactionType.GRANT, 10_000_000),
    ]
    assert [entry.reference_id for entry in page.transactions] == [history[2], history[1], "grant:acme"]
    assert [entry.model for entry in page.transactions][1:] == ["hunyuan/hunyuan-image-v3-text-to-image", None]
    assert page.next_cursor is None


def test_following_the_cursor_shows_every_transaction_once(house, history):
    seen, cursor = [], None
    while True:
        page = _transactions(house, limit=1, cursor=cursor)
        seen += [entry.reference_id for entry in page.transactions]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == [history[2], history[1], "grant:acme"]


@pytest.mark.parametrize(
    ("only", "num_shown"),
    [
        ({"direction": Direction.TOPUP}, 1),
        ({"direction": Direction.CHARGE}, 2),
        ({"type": TransactionType.MODEL_USAGE}, 2),
        ({"type": TransactionType.MODEL_USAGE, "direction": Direction.TOPUP}, 0),
    ],
)
def test_transactions_can_be_restricted(house, history, only, num_shown):
    assert len(_transactions(house, **only).transactions) == num_shown


def test_transactions_can_be_restricted_by_time(house, history):
    now = house.clock()
    assert len(_transactions(house, created_from=now - timedelta(minutes=30)).transactions) == 1
    assert len(_transactions(house, created_to=now).transactions) == 2


@pytest.mark.parametrize("cursor", ["", "!!", "é", "YWJj", "MjAyNi0xMS0yMyB4"])
def test_a_made_up_cursor_is_refused(house, cursor):
    with pytest.raises(InvalidRequest) as refusal:
        _transactions(house, cursor=cursor)
    assert refusal.value.param == "cursor"


def _job(house, account_id, *, done):
    now = house.clock()
    lease = Lease(owner="me", expires_at=now + timedelta(seconds=15))
    with house.database.write() as conn:
        submission = house.submission(account_id)
        job = lifecycle.submit(conn, submission, price=Price(), safety={}, lease=lease, now=now)
        job = lifecycle.start(conn, job, lease=lease, now=now)
        if done:
            drawing = Drawing(images=(IMAGE,), engine="fake", safety={}, warnings=(), expanded_prompt=None)
            return lifecycle.succeed(conn, job, drawing, lease_owner="me", now=now).id
        return lifecycle.fail(conn, job, ServiceError(), lease_owner="me", now=now).id


def _logs(house, **changes):
    asked = {
        "created_from": house.clock() - timedelta(days=1),
        "statuses": EVERY_STATUS,
        "limit": 100,
        "offset": 0,
        **changes,
    }
    with house.database.read() as conn:
        return reports.list_logs(conn, account_id="acme", **asked)


def _transactions(house, *, limit=100, cursor=None, **only):
    with house.database.read() as conn:
        return reports.list_transactions(
            conn, account_id="acme", only=TransactionFilter(**only), limit=limit, cursor=cursor
        )
