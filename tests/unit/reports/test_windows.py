"""Keys that an account may report on."""

import pytest

from danqing.accounts import api_keys
from danqing.errors import NotFound
from danqing.reports.windows import require_key


def test_an_account_may_report_on_its_keys_even_revoked_ones(house):
    own = house.keys["acme"]
    with house.database.write() as conn:
        require_key(conn, own, account_id="acme")
        api_keys.revoke_key(conn, own, account_id="acme", now=house.clock())
        require_key(conn, own, account_id="acme")


def test_other_keys_are_not_found(house):
    with house.database.read() as conn:
        for prefix in (house.keys["umbrella"], "00000000"):
            with pytest.raises(NotFound):
                require_key(conn, prefix, account_id="acme")
