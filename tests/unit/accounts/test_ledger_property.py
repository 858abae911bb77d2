"""Any sequence of operations keeps the ledger balanced, no account negative, and every hold settled at most once."""

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from danqing.accounts import credits
from danqing.accounts.accounts import create_account
from danqing.accounts.api_keys import SpendLimit, create_key
from danqing.accounts.pricing import usd_from_credits
from danqing.accounts.spend_limits import Retention
from danqing.database import Database
from danqing.errors import InsufficientCredits, SpendLimitReached

ACCOUNTS = ("acme", "umbrella")
LIMIT_CREDITS = 150


class Ledger(RuleBasedStateMachine):
    """Compares the ledger with a model of two dictionaries."""

    holds = Bundle("holds")

    @initialize()
    def open_accounts(self):
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "ledger.db"
        shutil.copy(self.migrated_file, path)
        self.database = Database(f"sqlite:///{path}")
        self.now = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
        self.available = dict.fromkeys(ACCOUNTS, 0)
        self.open_holds = {}
        self.captured = dict.fromkeys(ACCOUNTS, 0)
        self.granted = dict.fromkeys(ACCOUNTS, 0)
        self.today = 0
        self.num_ids = 0
        self.keys = {}
        # Only the first account's key has a limit.
        limit = SpendLimit(retention=Retention.DAY, threshold_usd=usd_from_credits(LIMIT_CREDITS))
        with self.database.write() as conn:
            for account_id in ACCOUNTS:
                create_account(conn, account_id, name=account_id, now=self.now)
                key_limit = limit if account_id == "acme" else None
                created = create_key(conn, account_id=account_id, name="key", now=self.now, limit=key_limit)
                self.keys[account_id] = created.api_key.prefix

    @rule(account_id=st.sampled_from(ACCOUNTS), amount_credits=st.integers(1, 200))
    def grant(self, account_id, amount_credits):
        with self.database.write() as conn:
            credits.grant(
                conn, account_id=account_id, grant_id=self._new_id(), amount_credits=amount_credits, now=self.now
            )
        self.available[account_id] += amount_credits
        self.granted[account_id] += amount_credits

    @rule(target=holds, account_id=st.sampled_from(ACCOUNTS), amount_credits=st.integers(0, 120))
    def hold(self, account_id, amount_credits):
        hold_id = self._new_id()
        over_limit = account_id == "acme" and self._spent_today() + amount_credits > LIMIT_CREDITS
        too_much = amount_credits > self.available[account_id]
        try:
            with self.database.write() as conn:
                credits.hold(
                    conn,
                    hold_id=hold_id,
                    account_id=account_id,
                    api_key_id=self.keys[account_id],
                    amount_credits=amount_credits,
                    now=self.now,
                )
        except SpendLimitReached:
            assert over_limit
            return "nothing"
        except InsufficientCredits:
            assert too_much
            assert not over_limit
            return "nothing"
        assert not over_limit
        assert not too_much
        self.available[account_id] -= amount_credits
        self.open_holds[hold_id] = (account_id, amount_credits, self.now.date())
        return hold_id

    @rule(hold_id=holds, share=st.integers(0, 4))
    def settle(self, hold_id, share):
        if hold_id == "nothing":
            return
        was_open = hold_id in self.open_holds
        account_id, amount_credits, day = self.open_holds.pop(hold_id, ("acme", 0, None))
        captured_credits = amount_credits * share // 4
        with self.database.write() as conn:
            settled = credits.settle(conn, hold_id=hold_id, captured_credits=captured_credits, now=self.now)
        assert settled == was_open
        self.available[account_id] += amount_credits - captured_credits
        self.captured[account_id] += captured_credits
        if account_id == "acme" and day == self.now.date():
            self.today += captured_credits

    @rule(hours=st.integers(1, 30))
    def let_time_pass(self, hours):
        before = self.now.date()
        self.now += timedelta(hours=hours)
        if self.now.date() != before:
            self.today = 0

    @invariant()
    def the_books_agree_with_the_model(self):
        with self.database.read() as conn:
            assert credits.check(conn) == []
            for account_id in ACCOUNTS:
                balance = credits.balance(conn, account_id)
                held = sum(amount for owner, amount, _ in self.open_holds.values() if owner == account_id)
                assert balance.available_credits == self.available[account_id]
                assert balance.held_credits == held
                assert self.granted[account_id] == self.available[account_id] + held + self.captured[account_id]

    def teardown(self):
        if hasattr(self, "database"):
            self.database.close()
            self.folder.cleanup()

    def _spent_today(self):
        held = sum(
            amount for owner, amount, day in self.open_holds.values() if owner == "acme" and day == self.now.date()
        )
        return self.today + held

    def _new_id(self):
        self.num_ids += 1
        return f"id{self.num_ids}"


@pytest.fixture(autouse=True, scope="module")
def _migrated_file(migrated_sqlite_file):
    Ledger.migrated_file = migrated_sqlite_file


TestLedger = Ledger.TestCase
TestLedger.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_the_limit_survives_the_trip_through_dollars():
    assert usd_from_credits(LIMIT_CREDITS) == Decimal("0.000075")
