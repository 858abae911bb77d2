"""Accounts: the owners of keys, credits and jobs."""

import base64
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from danqing.accounts import queries
from danqing.errors import InvalidRequest, NotFound

ACCOUNT_ID_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_NAME_LENGTH = 200
WEBHOOK_SECRET_BYTES = 24


class AccountExists(InvalidRequest):
    """The account's id is taken."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """An owner of keys, credits and jobs."""

    id: str
    name: str
    created_at: datetime


def create_account(conn: Connection, account_id: str, *, name: str, now: datetime) -> Account:
    """Open an empty account. Raises InvalidRequest for a bad or taken id."""
    if not ACCOUNT_ID_PATTERN.fullmatch(account_id):
        raise InvalidRequest("account: 1 to 64 letters, digits, dots, dashes and underscores", param="account")
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        raise InvalidRequest(f"name: 1 to {MAX_NAME_LENGTH} characters", param="name")
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(WEBHOOK_SECRET_BYTES)).decode()
    values = {
        "id": account_id,
        "name": name,
        "webhook_secret": secret,
        "available_credits": 0,
        "held_credits": 0,
        "created_at": now,
        "updated_at": now,
    }
    if not queries.insert_account(conn, values):
        raise AccountExists(f"account: there is an account {account_id!r} already", param="account")
    return Account(id=account_id, name=name, created_at=now)


def list_accounts(conn: Connection) -> list[Account]:
    """List every account, oldest first."""
    return [Account(id=row.id, name=row.name, created_at=row.created_at) for row in queries.list_accounts(conn)]


def webhook_secret(conn: Connection, account_id: str) -> str:
    """Return the secret that signs the account's webhooks, in Standard Webhooks form. Raises NotFound."""
    row = queries.find_account(conn, account_id)
    if row is None:
        raise NotFound(f"There is no account {account_id!r}.")
    return str(row.webhook_secret)
