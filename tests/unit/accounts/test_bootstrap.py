"""The first start, and accounts."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from danqing.accounts import credits
from danqing.accounts.accounts import create_account, list_accounts, webhook_secret
from danqing.accounts.api_keys import authenticate
from danqing.accounts.bootstrap import DEFAULT_ACCOUNT_ID, bootstrap
from danqing.errors import InvalidRequest, NotFound


def test_the_first_start_makes_an_account_with_credits_and_a_working_key(database, clock):
    with database.write() as conn:
        first = bootstrap(conn, starting_credits=10_000_000, now=clock())
        assert credits.balance(conn, DEFAULT_ACCOUNT_ID).available_credits == 10_000_000
        assert authenticate(conn, first.key.secret, now=clock()).account_id == DEFAULT_ACCOUNT_ID
        assert credits.check(conn) == []


def test_a_later_start_makes_nothing(database, clock):
    with database.write() as conn:
        bootstrap(conn, starting_credits=10, now=clock())
        assert bootstrap(conn, starting_credits=10, now=clock()) is None
        assert credits.balance(conn, DEFAULT_ACCOUNT_ID).available_credits == 10


def test_of_several_servers_at_their_first_start_one_makes_the_account_and_all_start(database, clock):
    begin = threading.Barrier(4)

    def start(_):
        with database.write() as conn:
            if conn.dialect.name == "postgresql":
                # Each has its snapshot of the empty database before any goes on.
                assert list_accounts(conn) == []
                begin.wait(60)
            return bootstrap(conn, starting_credits=10, now=clock())

    with ThreadPoolExecutor(4) as servers:
        starts = list(servers.map(start, range(4)))
    assert [first is not None for first in starts].count(True) == 1
    with database.read() as conn:
        assert credits.balance(conn, DEFAULT_ACCOUNT_ID).available_credits == 10


def test_an_account_may_start_with_nothing(database, clock):
    with database.write() as conn:
        bootstrap(conn, starting_credits=0, now=clock())
        assert credits.balance(conn, DEFAULT_ACCOUNT_ID).available_credits == 0


@pytest.mark.parametrize(
    ("account_id", "name"), [("", "A"), ("a b", "A"), ("x" * 65, "A"), ("acme", ""), ("acme", "x" * 201)]
)
def test_a_bad_account_is_refused(database, clock, account_id, name):
    with database.write() as conn, pytest.raises(InvalidRequest):
        create_account(conn, account_id, name=name, now=clock())


def test_a_taken_account_id_is_refused(database, clock):
    with database.write() as conn:
        create_account(conn, "acme", name="Acme", now=clock())
        with pytest.raises(InvalidRequest, match="already"):
            create_account(conn, "acme", name="Acme again", now=clock())
        assert [account.name for account in list_accounts(conn)] == ["Acme"]


def test_every_account_signs_its_webhooks_with_its_own_secret(database, clock):
    with database.write() as conn:
        for account_id in ("acme", "umbrella"):
            create_account(conn, account_id, name=account_id, now=clock())
        secrets = {webhook_secret(conn, account_id) for account_id in ("acme", "umbrella")}
        with pytest.raises(NotFound):
            webhook_secret(conn, "nobody")
    assert len(secrets) == 2
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"))) == 24 for secret in secrets)
