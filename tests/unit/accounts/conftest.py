"""An account with a key, in a database of either kind."""

import pytest

from danqing.accounts.accounts import create_account
from danqing.accounts.api_keys import create_key


@pytest.fixture
def key(database, clock):
    """A key of the account "acme", which has no credits."""
    with database.write() as conn:
        create_account(conn, "acme", name="Acme", now=clock())
        return create_key(conn, account_id="acme", name="first", now=clock())
