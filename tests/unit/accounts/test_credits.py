"""The ledger: holds, captures, releases, and the check that recomputes them."""

import threading

import pytest
from sqlalchemy import select, text, update

from danqing.accounts import credits, tables
from danqing.errors import InsufficientCredits, InvalidRequest, NotFound


def test_a_grant_counts_once(database, key, clock):
    for _ in range(2):
        with database.write() as conn:
            credits.grant(conn, account_id="acme", grant_id="g", amount_credits=100, now=clock())
    assert _balance(database) == (100, 0)


@pytest.mark.parametrize("amount_credits", [0, -1, credits.MAX_GRANT_CREDITS + 1])
def test_a_grant_out_of_range_is_refused(database, key, clock, amount_credits):
    with database.write() as conn, pytest.raises(InvalidRequest, match="amount_credits"):
        credits.grant(conn, account_id="acme", grant_id="g", amount_credits=amount_credits, now=clock())


def test_a_grant_to_nobody_is_refused(database, clock):
    with database.write() as conn, pytest.raises(NotFound):
        credits.grant(conn, account_id="nobody", grant_id="g", amount_credits=1, now=clock())


def test_a_hold_sets_credits_aside(database, key, clock):
    _grant(database, clock, 100)
    _hold(database, key, clock, "h", 30)
    assert _balance(database) == (70, 30)


def test_the_same_hold_counts_once(database, key, clock):
    _grant(database, clock, 100)
    _hold(database, key, clock, "h", 30)
    _hold(database, key, clock, "h", 30)
    assert _balance(database) == (70, 30)
    assert _check(database) == []


def test_a_hold_beyond_the_balance_is_refused_and_leaves_no_trace(database, key, clock):
    _grant(database, clock, 29)
    with pytest.raises(InsufficientCredits):
        _hold(database, key, clock, "h", 30)
    assert _balance(database) == (29, 0)
    with database.read() as conn:
        assert conn.execute(select(tables.holds)).all() == []


@pytest.mark.parametrize(("captured_credits", "left"), [(30, 70), (20, 80), (0, 100)])
def test_settling_captures_a_part_and_releases_the_rest(database, key, clock, captured_credits, left):
    _grant(database, clock, 100)
    _hold(database, key, clock, "h", 30)
    assert _settle(database, clock, "h", captured_credits)
    assert _balance(database) == (left, 0)
    assert _check(database) == []


def test_a_hold_settles_once(database, key, clock):
    _grant(database, clock, 100)
    _hold(database, key, clock, "h", 30)
    assert _settle(database, clock, "h", 30)
    assert not _settle(database, clock, "h", 0)
    assert not _settle(database, clock, "h", 30)
    assert _balance(database) == (70, 0)


def test_settling_an_unknown_hold_is_refused(database, clock):
    with pytest.raises(NotFound):
        _settle(database, clock, "h", 0)


def test_a_hold_of_nothing_settles_too(database, key, clock):
    _hold(database, key, clock, "h", 0)
    assert _settle(database, clock, "h", 0)
    assert not _settle(database, clock, "h", 0)
    assert _check(database) == []


def test_holds_at_the_same_moment_never_overdraw(database, key, clock):
    _grant(database, clock, 50)
    outcomes = []

    def hold(index):
        try:
            _hold(database, key, clock, f"h{index}", 10)
            outcomes.append("held")
        except InsufficientCredits:
            outcomes.append("refused")

    threads = [threading.Thread(target=hold, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held"] * 5 + ["refused"] * 3
    assert _balance(database) == (0, 50)
    assert _check(database) == []


def test_settlements_at_the_same_moment_settle_once(database, key, clock):
    _grant(database, clock, 50)
    _hold(database, key, clock, "h", 50)
    outcomes = []
    threads = [
        threading.Thread(target=lambda captured=captured: outcomes.append(_settle(database, clock, "h", captured)))
        for captured in (50, 0, 25, 50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, False, False, True]
    assert _check(database) == []


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (update(tables.accounts).values(available_credits=71), "account acme: 71 credits available, but its transfers"),
        (update(tables.accounts).values(held_credits=1), "account acme: 1 credits held, but its transfers"),
        (update(tables.key_spending).values(spent_credits=3), "3 credits spent on 2026-11-23, but its holds add up to"),
    ],
)
def test_the_check_names_a_stored_sum_that_is_wrong(database, key, clock, damage, sentence):
    _grant(database, clock, 100)
    _hold(database, key, clock, "h", 30)
    _settle(database, clock, "h", 20)
    with database.write() as conn:
        conn.execute(damage)
    (discrepancy,) = _check(database)
    assert sentence in discrepancy


def test_the_check_names_a_hold_that_its_transfers_contradict(database, key, clock):
    _grant(database, clock, 100)
    _hold(database, key, clock, "h", 30)
    with database.write() as conn:
        conn.execute(
            text("INSERT INTO settlements (hold_id, captured_credits, created_at) SELECT id, 10, created_at FROM holds")
        )
    assert any("hold h: 30 credits, settled with 10 captured" in line for line in _check(database))


def _grant(database, clock, amount_credits):
    with database.write() as conn:
        credits.grant(conn, account_id="acme", grant_id="g", amount_credits=amount_credits, now=clock())


def _hold(database, key, clock, hold_id, amount_credits):
    with database.write() as conn:
        credits.hold(
            conn,
            hold_id=hold_id,
            account_id="acme",
            api_key_id=key.api_key.prefix,
            amount_credits=amount_credits,
            now=clock(),
        )


def _settle(database, clock, hold_id, captured_credits):
    with database.write() as conn:
        return credits.settle(conn, hold_id=hold_id, captured_credits=captured_credits, now=clock())


def _balance(database):
    with database.read() as conn:
        balance = credits.balance(conn, "acme")
    return balance.available_credits, balance.held_credits


def _check(database):
    with database.read() as conn:
        return credits.check(conn)
