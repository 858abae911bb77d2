"""Credits that came and went."""

from datetime import timedelta

import pytest

from danqing.errors import InvalidRequest
from danqing.reports.transactions import Direction, TransactionFilter, TransactionType, list_transactions


def test_transactions_show_what_came_and_what_was_spent_and_no_holds(house, history):
    page = _transactions(house)
    assert [(entry.direction, entry.type, entry.amount_credits) for entry in page.transactions] == [
        (Direction.CHARGE, TransactionType.MODEL_USAGE, 210_000),
        (Direction.CHARGE, TransactionType.MODEL_USAGE, 210_000),
        (Direction.TOPUP, TransactionType.ADJUSTMENT, 10_000_000),
    ]
    assert [entry.reference_id for entry in page.transactions] == [history[2], history[1], None]
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
    assert seen == [history[2], history[1], None]


@pytest.mark.parametrize(
    ("only", "num_shown"),
    [
        ({"direction": Direction.TOPUP}, 1),
        ({"direction": Direction.CHARGE}, 2),
        ({"type": TransactionType.MODEL_USAGE}, 2),
        ({"type": TransactionType.MODEL_USAGE, "direction": Direction.TOPUP}, 0),
        ({"type": TransactionType.PAYMENT}, 0),
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


def _transactions(house, *, limit=100, cursor=None, **only):
    with house.database.read() as conn:
        return list_transactions(conn, account_id="acme", only=TransactionFilter(**only), limit=limit, cursor=cursor)


def test_every_row_tells_the_balance_after_it_also_under_a_filter_and_on_later_pages(house, history):
    house.write_job(account_id="acme", started=True)  # What it holds is the account's as long as it runs.
    assert [entry.balance_credits for entry in _transactions(house).transactions] == [9_580_000, 9_790_000, 10_000_000]
    page = _transactions(house, limit=1)
    later = _transactions(house, limit=1, cursor=page.next_cursor)
    assert [entry.balance_credits for entry in later.transactions] == [9_790_000]
    (grant,) = _transactions(house, direction=Direction.TOPUP).transactions
    assert grant.balance_credits == 10_000_000
