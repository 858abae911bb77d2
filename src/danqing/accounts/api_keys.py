"""API keys: 32 hex digits, shown once and kept as a hash. Knows nothing of HTTP headers.

Every function works inside the caller's transaction.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import Connection

IMAGE_SCOPE = "model:image"


class KeyKind(StrEnum):
    """API keys draw; management keys administer the account's keys and money."""

    API = "api"
    MANAGEMENT = "management"


class Retention(StrEnum):
    """When the spending counted against a limit starts again from zero, in UTC; weeks begin on Monday."""

    NO_RESET = "no_reset"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, kw_only=True)
class SpendLimit:
    """At most `threshold_usd` within each period."""

    retention: Retention
    threshold_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A key without its secret. `prefix`, the first eight digits, is also its id; `monthly_usage_usd` is this month's."""

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
    scopes: tuple[str, ...] = (IMAGE_SCOPE,),
    limit: SpendLimit | None = None,
) -> CreatedKey:
    """Make a key. Raises InvalidRequest for an empty or long name, an unknown scope, or a negative limit."""
    raise NotImplementedError


def authenticate(conn: Connection, secret: str, *, now: datetime) -> ApiKey:
    """Find the key with this secret. Raises InvalidApiKey for an unknown, revoked or disabled one."""
    raise NotImplementedError


def require_scope(api_key: ApiKey, scope: str) -> None:
    """Raise MissingScope unless the key has the scope."""
    raise NotImplementedError


def get_key(conn: Connection, prefix: str, *, account_id: str, now: datetime) -> ApiKey:
    """Find a key by its prefix. Raises NotFound, also for another account's or a revoked key."""
    raise NotImplementedError


def list_keys(conn: Connection, *, account_id: str, now: datetime) -> list[ApiKey]:
    """List the account's keys, oldest first, without revoked ones."""
    raise NotImplementedError


def patch_key(conn: Connection, prefix: str, *, account_id: str, patch: KeyPatch, now: datetime) -> ApiKey:
    """Change a key. Raises NotFound or InvalidRequest."""
    raise NotImplementedError


def revoke_key(conn: Connection, prefix: str, *, account_id: str, now: datetime) -> None:
    """End a key for good; its history stays. Raises NotFound."""
    raise NotImplementedError
