"""API keys: 32 hex digits, shown once and stored as a hash.

Every function works inside the caller's transaction.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row

from danqing.accounts import queries
from danqing.accounts.pricing import credits_from_usd, usd_from_credits
from danqing.accounts.spend_limits import Retention, period_start
from danqing.errors import InvalidApiKey, InvalidRequest, MissingScope, NotFound

IMAGE_SCOPE = "model:image"
# The scopes that keys of the described platform may have. Only images are made here; the others open nothing.
SCOPES = (
    "model:chat",
    "model:responses",
    IMAGE_SCOPE,
    "model:audio",
    "model:video",
    "model:embeddings",
    "model:speech",
    "model:ocr",
)
SECRET_PATTERN = re.compile(r"[0-9a-f]{32}")
PREFIX_LENGTH = 8
MAX_NAME_LENGTH = 200
MAX_KEYS_PER_ACCOUNT = 1_000
MAX_LIMIT_USD = 1_000_000_000


class KeyKind(StrEnum):
    """API keys draw; management keys administer the account's keys and money."""

    API = "api"
    MANAGEMENT = "management"


@dataclass(frozen=True, kw_only=True)
class SpendLimit:
    """At most `threshold_usd` within each period."""

    retention: Retention
    threshold_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key without its secret. `prefix`, the first eight digits, is also its id; `name` may be empty."""

    prefix: str
    account_id: str
    name: str
    kind: KeyKind
    scopes: tuple[str, ...]
    disabled: bool
    limit: SpendLimit | None
    created_at: datetime
    updated_at: datetime
    monthly_usage_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class CreatedKey:
    """A new key; `secret` is the full key and exists nowhere else."""

    api_key: ApiKey
    secret: str


@dataclass(frozen=True, kw_only=True)
class KeyPatch:
    """The new values of a key's changeable fields; the caller starts from the present ones."""

    name: str
    disabled: bool
    scopes: tuple[str, ...]
    limit: SpendLimit | None


def create_key(
    conn: Connection,
    *,
    account_id: str,
    name: str,
    now: datetime,
    kind: KeyKind = KeyKind.API,
    scopes: tuple[str, ...] | None = None,
    limit: SpendLimit | None = None,
) -> CreatedKey:
    """Make a key; without `scopes`, an API key may draw and a management key may not.

    Raises InvalidRequest for a long name, a scope that such keys cannot have, a limit out of range, or too many keys.
    """
    if scopes is None:
        scopes = (IMAGE_SCOPE,) if kind is KeyKind.API else ()
    if queries.count_keys(conn, account_id) >= MAX_KEYS_PER_ACCOUNT:
        raise InvalidRequest(f"An account has at most {MAX_KEYS_PER_ACCOUNT} API keys; delete one first.")
    patch = KeyPatch(name=name, disabled=False, scopes=scopes, limit=limit)
    values = {
        "account_id": account_id,
        "kind": kind,
        "created_at": now,
        **_patch_values(patch, kind=kind, now=now),
    }
    # Prefixes are short enough to meet once in a while.
    while True:
        secret = secrets.token_hex(16)
        prefix = secret[:PREFIX_LENGTH]
        if queries.insert_key(conn, {**values, "prefix": prefix, "secret_sha256": _hash(secret)}):
            return CreatedKey(api_key=get_key(conn, prefix, account_id=account_id, now=now), secret=secret)


def authenticate(conn: Connection, secret: str, *, now: datetime) -> ApiKey:
    """Find the key with this secret. Raises InvalidApiKey for an unknown, revoked or disabled one."""
    if not SECRET_PATTERN.fullmatch(secret):
        raise InvalidApiKey
    row = queries.find_key(conn, secret[:PREFIX_LENGTH])
    if row is None or not hmac.compare_digest(row.secret_sha256, _hash(secret)):
        raise InvalidApiKey
    if row.disabled or row.revoked_at is not None:
        raise InvalidApiKey
    return _api_key(row, month_credits=_month_credits(conn, row.prefix, now=now))


def lock_live_key(conn: Connection, prefix: str) -> None:
    """Keep other transactions from submitting with a key or changing it. Raises InvalidApiKey unless it may be used."""
    row = queries.lock_key(conn, prefix)
    if row is None or row.disabled or row.revoked_at is not None:
        raise InvalidApiKey


def is_live(conn: Connection, prefix: str) -> bool:
    """Say whether a key is neither disabled nor revoked."""
    row = queries.find_key(conn, prefix)
    return row is not None and not row.disabled and row.revoked_at is None


def require_scope(api_key: ApiKey, scope: str) -> None:
    """Raise MissingScope unless it is an API key with the scope; a management key counts as having none."""
    if api_key.kind is not KeyKind.API or scope not in api_key.scopes:
        raise MissingScope(f"This API key lacks the scope {scope!r}.")


def get_key(conn: Connection, prefix: str, *, account_id: str, now: datetime) -> ApiKey:
    """Find a key by its prefix. Raises NotFound, also for another account's or a revoked key."""
    row = queries.find_key(conn, prefix)
    if row is None or row.account_id != account_id or row.revoked_at is not None:
        raise NotFound(f"There is no API key {prefix!r}.")
    return _api_key(row, month_credits=_month_credits(conn, prefix, now=now))


def list_keys(conn: Connection, *, account_id: str, now: datetime) -> list[ApiKey]:
    """List the account's keys, oldest first, without revoked ones."""
    month = period_start(Retention.MONTH, now=now)
    assert month is not None
    spent = queries.spending_by_key(conn, account_id=account_id, since=month)
    return [_api_key(row, month_credits=spent.get(row.prefix, 0)) for row in queries.list_keys(conn, account_id)]


def limit_spending(conn: Connection, *, account_id: str, now: datetime) -> dict[str, Decimal]:
    """Return what counts now against the limit of each key that has one, in USD."""
    keys = [row for row in queries.list_keys(conn, account_id) if row.limit_retention is not None]
    spent_by_retention = {
        retention: queries.spending_by_key(conn, account_id=account_id, since=period_start(retention, now=now))
        for retention in {Retention(row.limit_retention) for row in keys}
    }
    return {
        row.prefix: usd_from_credits(spent_by_retention[Retention(row.limit_retention)].get(row.prefix, 0))
        for row in keys
    }


def change_key(
    conn: Connection, prefix: str, *, account_id: str, change: Callable[[ApiKey], KeyPatch], now: datetime
) -> ApiKey:
    """Change a key to what `change` makes of its present state. Raises NotFound or InvalidRequest.

    Changes of a key come one after the other, so that none undoes another.
    """
    _lock_own_key(conn, prefix, account_id=account_id)
    present = get_key(conn, prefix, account_id=account_id, now=now)
    queries.update_key(conn, prefix, _patch_values(change(present), kind=present.kind, now=now))
    return get_key(conn, prefix, account_id=account_id, now=now)


def revoke_key(conn: Connection, prefix: str, *, account_id: str, now: datetime) -> None:
    """End a key for good; its history stays. Raises NotFound."""
    _lock_own_key(conn, prefix, account_id=account_id)
    queries.update_key(conn, prefix, {"revoked_at": now, "updated_at": now})


def _lock_own_key(conn: Connection, prefix: str, *, account_id: str) -> None:
    row = queries.lock_key(conn, prefix)
    if row is None or row.account_id != account_id or row.revoked_at is not None:
        raise NotFound(f"There is no API key {prefix!r}.")


def _hash(secret: str) -> str:
    # A plain hash is enough: the secret is 128 random bits, which no dictionary holds.
    return hashlib.sha256(secret.encode()).hexdigest()


def _month_credits(conn: Connection, prefix: str, *, now: datetime) -> int:
    return queries.spending(conn, api_key_id=prefix, since=period_start(Retention.MONTH, now=now))


def _patch_values(patch: KeyPatch, *, kind: KeyKind, now: datetime) -> dict[str, Any]:
    if len(patch.name) > MAX_NAME_LENGTH:
        raise InvalidRequest(f"name: at most {MAX_NAME_LENGTH} characters", param="name")
    unknown = set(patch.scopes) - set(SCOPES)
    if unknown:
        raise InvalidRequest(f"scopes: {sorted(unknown)} not among {list(SCOPES)}", param="scopes")
    if patch.scopes and kind is KeyKind.MANAGEMENT:
        raise InvalidRequest("scopes: a management key has none; create an API key to draw", param="scopes")
    if patch.limit is not None and not 0 <= patch.limit.threshold_usd <= MAX_LIMIT_USD:
        raise InvalidRequest(f"limit.threshold: 0 to {MAX_LIMIT_USD} USD", param="limit.threshold")
    return {
        "name": patch.name,
        "disabled": patch.disabled,
        "scopes": sorted(set(patch.scopes)),
        "limit_retention": patch.limit.retention if patch.limit else None,
        "limit_credits": credits_from_usd(patch.limit.threshold_usd) if patch.limit else None,
        "updated_at": now,
    }


def _api_key(row: Row[Any], *, month_credits: int) -> ApiKey:
    limit = None
    if row.limit_credits is not None:
        limit = SpendLimit(retention=Retention(row.limit_retention), threshold_usd=usd_from_credits(row.limit_credits))
    return ApiKey(
        prefix=row.prefix,
        account_id=row.account_id,
        name=row.name,
        kind=KeyKind(row.kind),
        scopes=tuple(row.scopes),
        disabled=row.disabled,
        limit=limit,
        created_at=row.created_at,
        updated_at=row.updated_at,
        monthly_usage_usd=usd_from_credits(month_credits),
    )
