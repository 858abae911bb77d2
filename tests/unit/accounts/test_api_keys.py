"""API keys: secrets, prefixes, scopes, spend limits."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import select

from danqing.accounts import api_keys, credits, tables
from danqing.accounts.accounts import create_account
from danqing.accounts.api_keys import KeyKind, KeyPatch, SpendLimit
from danqing.accounts.spend_limits import Retention
from danqing.errors import InvalidApiKey, InvalidRequest, MissingScope, NotFound, SpendLimitReached

DAILY_DOLLAR = SpendLimit(retention=Retention.DAY, threshold_usd=Decimal(1))


def test_a_key_is_32_hex_digits_and_its_prefix_the_first_eight(key):
    assert api_keys.SECRET_PATTERN.fullmatch(key.secret)
    assert key.api_key.prefix == key.secret[:8]


def test_the_secret_is_stored_nowhere(database, key):
    with database.read() as conn:
        row = conn.execute(select(tables.api_keys)).one()
    assert key.secret not in str(row)
    assert len(row.secret_sha256) == 64


def test_a_key_is_found_by_its_secret(database, key, clock):
    assert _authenticate(database, clock, key.secret) == key.api_key


@pytest.mark.parametrize("secret", ["", "0" * 32, "x" * 32, "é" * 32, "0" * 10_000])
def test_an_unknown_secret_is_refused(database, key, clock, secret):
    with pytest.raises(InvalidApiKey):
        _authenticate(database, clock, secret)


def test_the_right_prefix_with_a_wrong_rest_is_refused(database, key, clock):
    with pytest.raises(InvalidApiKey):
        _authenticate(database, clock, key.secret[:8] + "0" * 24)


def test_a_disabled_key_is_refused_until_it_is_enabled_again(database, key, clock):
    _patch(database, clock, key, disabled=True)
    with pytest.raises(InvalidApiKey):
        _authenticate(database, clock, key.secret)
    _patch(database, clock, key, disabled=False)
    assert _authenticate(database, clock, key.secret).prefix == key.api_key.prefix


def test_a_revoked_key_is_gone_for_good(database, key, clock):
    with database.write() as conn:
        api_keys.revoke_key(conn, key.api_key.prefix, account_id="acme", now=clock())
    with pytest.raises(InvalidApiKey):
        _authenticate(database, clock, key.secret)
    with database.write() as conn:
        assert api_keys.list_keys(conn, account_id="acme", now=clock()) == []
        with pytest.raises(NotFound):
            api_keys.revoke_key(conn, key.api_key.prefix, account_id="acme", now=clock())


def test_a_key_of_another_account_is_not_found(database, key, clock):
    with database.write() as conn:
        create_account(conn, "umbrella", name="Umbrella", now=clock())
        for attempt in (
            lambda: api_keys.get_key(conn, key.api_key.prefix, account_id="umbrella", now=clock()),
            lambda: api_keys.revoke_key(conn, key.api_key.prefix, account_id="umbrella", now=clock()),
        ):
            with pytest.raises(NotFound):
                attempt()


def test_keys_are_listed_oldest_first(database, key, clock):
    clock.advance(seconds=1)
    with database.write() as conn:
        second = api_keys.create_key(conn, account_id="acme", name="second", kind=KeyKind.MANAGEMENT, now=clock())
        names = [listed.name for listed in api_keys.list_keys(conn, account_id="acme", now=clock())]
    assert names == ["first", "second"]
    assert second.api_key.kind is KeyKind.MANAGEMENT


def test_a_patch_changes_the_fields_and_the_time(database, key, clock):
    clock.advance(hours=1)
    limit = SpendLimit(retention=Retention.WEEK, threshold_usd=Decimal("12.5"))
    patched = _patch(database, clock, key, name="renamed", limit=limit)
    assert patched == replace(key.api_key, name="renamed", limit=limit, updated_at=clock())
    assert _patch(database, clock, key, limit=None).limit is None


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"name": "x" * 201}, "name"),
        ({"scopes": ("model:everything",)}, "scopes"),
        ({"limit": SpendLimit(retention=Retention.DAY, threshold_usd=Decimal(-1))}, "limit.threshold"),
        ({"limit": SpendLimit(retention=Retention.DAY, threshold_usd=Decimal("1e20"))}, "limit.threshold"),
    ],
)
def test_a_bad_value_is_refused_by_name(database, key, clock, change, param):
    with pytest.raises(InvalidRequest) as refusal:
        _patch(database, clock, key, **change)
    assert refusal.value.param == param


def test_no_change_of_a_key_undoes_another_one_at_the_same_moment(database, key, clock):
    changes = [{"disabled": True}, {"name": "renamed"}, {"scopes": ()}, {"limit": DAILY_DOLLAR}]
    begin = threading.Barrier(len(changes))

    def patch(change):
        begin.wait(60)
        _patch(database, clock, key, **change)

    with ThreadPoolExecutor(len(changes)) as callers:
        list(callers.map(patch, changes))
    with database.read() as conn:
        changed = api_keys.get_key(conn, key.api_key.prefix, account_id="acme", now=clock())
    assert (changed.disabled, changed.name, changed.scopes, changed.limit) == (True, "renamed", (), DAILY_DOLLAR)


def test_a_management_key_never_draws(database, key, clock):
    with database.write() as conn:
        manager = api_keys.create_key(conn, account_id="acme", name="m", kind=KeyKind.MANAGEMENT, now=clock())
        with pytest.raises(InvalidRequest) as refusal:
            api_keys.create_key(
                conn, account_id="acme", name="m", kind=KeyKind.MANAGEMENT, scopes=("model:image",), now=clock()
            )
    assert (manager.api_key.scopes, refusal.value.param) == ((), "scopes")
    with pytest.raises(InvalidRequest):
        _patch(database, clock, manager, scopes=("model:image",))
    with pytest.raises(MissingScope):
        api_keys.require_scope(replace(manager.api_key, scopes=("model:image",)), "model:image")


def test_an_account_has_a_limited_number_of_keys(database, key, clock, monkeypatch):
    monkeypatch.setattr(api_keys, "MAX_KEYS_PER_ACCOUNT", 2)
    with database.write() as conn:
        second = api_keys.create_key(conn, account_id="acme", name="", now=clock())
        with pytest.raises(InvalidRequest):
            api_keys.create_key(conn, account_id="acme", name="third", now=clock())
        api_keys.revoke_key(conn, second.api_key.prefix, account_id="acme", now=clock())
        api_keys.create_key(conn, account_id="acme", name="third", now=clock())


def test_a_missing_scope_is_named(key):
    api_keys.require_scope(key.api_key, api_keys.IMAGE_SCOPE)
    with pytest.raises(MissingScope, match="model:image"):
        api_keys.require_scope(replace(key.api_key, scopes=()), api_keys.IMAGE_SCOPE)


@pytest.mark.parametrize(
    ("retention", "still_refused_at", "allowed_at"),
    [
        (Retention.DAY, datetime(2026, 11, 23, 23, 59, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)),
        (Retention.WEEK, datetime(2026, 11, 29, 23, 59, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC)),
        (Retention.MONTH, datetime(2026, 11, 30, 23, 59, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)),
        (Retention.NO_RESET, datetime(2027, 11, 30, tzinfo=UTC), None),
    ],
)
def test_a_spend_limit_counts_its_period(database, key, clock, retention, still_refused_at, allowed_at):
    _patch(database, clock, key, limit=SpendLimit(retention=retention, threshold_usd=Decimal("0.105")))
    _grant(database, clock)
    _hold(database, key, clock(), "h1", 210_000)
    with pytest.raises(SpendLimitReached):
        _hold(database, key, still_refused_at, "h2", 1)
    if allowed_at is not None:
        _hold(database, key, allowed_at, "h3", 210_000)


def test_what_was_held_and_released_does_not_count_as_spent(database, key, clock):
    _patch(database, clock, key, limit=SpendLimit(retention=Retention.DAY, threshold_usd=Decimal("0.105")))
    _grant(database, clock)
    _hold(database, key, clock(), "h1", 210_000)
    with database.write() as conn:
        credits.settle(conn, hold_id="h1", captured_credits=0, now=clock())
    _hold(database, key, clock(), "h2", 210_000)


def test_monthly_usage_is_in_dollars_and_starts_again_each_month(database, key, clock):
    _grant(database, clock)
    _hold(database, key, clock(), "h1", 210_000)
    with database.read() as conn:
        (listed,) = api_keys.list_keys(conn, account_id="acme", now=clock())
        assert listed.monthly_usage_usd == Decimal("0.105")
        clock.advance(days=8)
        assert api_keys.get_key(conn, key.api_key.prefix, account_id="acme", now=clock()).monthly_usage_usd == 0


def _authenticate(database, clock, secret):
    with database.read() as conn:
        return api_keys.authenticate(conn, secret, now=clock())


def _patch(database, clock, key, **changes):
    def change(present):
        patch = KeyPatch(name=present.name, disabled=present.disabled, scopes=present.scopes, limit=present.limit)
        return replace(patch, **changes)

    with database.write() as conn:
        return api_keys.change_key(conn, key.api_key.prefix, account_id="acme", change=change, now=clock())


def _grant(database, clock):
    with database.write() as conn:
        credits.grant(conn, account_id="acme", grant_id="g", amount_credits=10_000_000, now=clock())


def _hold(database, key, now, hold_id, amount_credits):
    with database.write() as conn:
        credits.hold(
            conn,
            hold_id=hold_id,
            account_id="acme",
            api_key_id=key.api_key.prefix,
            amount_credits=amount_credits,
            now=now,
        )
