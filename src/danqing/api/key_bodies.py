"""Bodies of requests and responses about API keys."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from danqing.accounts.api_keys import (
    MAX_LIMIT_USD,
    MAX_NAME_LENGTH,
    SCOPES,
    ApiKey,
    CreatedKey,
    KeyKind,
    KeyPatch,
    SpendLimit,
)
from danqing.accounts.spend_limits import Retention
from danqing.api.fields import OneOf, RealNumber, Text
from danqing.api.issues import invalid_request, issue
from danqing.api.periods import WireTime

Name = Annotated[Text, Field(max_length=MAX_NAME_LENGTH)]
Scopes = Annotated[list[Annotated[str, OneOf(SCOPES)]], Field(max_length=len(SCOPES))]


class LimitBody(BaseModel):
    """At most `threshold` USD in each period."""

    model_config = ConfigDict(strict=True)

    retention: Annotated[str, OneOf(tuple(Retention))] | None = None
    threshold: Annotated[RealNumber, Field(ge=0, le=MAX_LIMIT_USD)] | None = None

    def applied_to(self, present: SpendLimit | None) -> SpendLimit | None:
        """Return the limit that `present` becomes; fields left out stay. Raises InvalidRequest without a threshold."""
        if self.retention is None and self.threshold is None and present is not None:
            return present
        threshold_usd = present.threshold_usd if present else None
        if self.threshold is not None:
            threshold_usd = Decimal(str(self.threshold))
        if threshold_usd is None:
            facts = {"expected": "number", "received": "undefined"}
            raise invalid_request([issue("invalid_type", ["limit", "threshold"], "Required", **facts)])
        retention = present.retention if present else Retention.NO_RESET
        return SpendLimit(retention=Retention(self.retention or retention), threshold_usd=threshold_usd)


class NewKeyBody(BaseModel):
    """A new key: every field may be left out, or null."""

    model_config = ConfigDict(strict=True, extra="forbid")

    name: Name | None = None
    scopes: Scopes | None = None
    limit: LimitBody | None = None

    def spend_limit(self) -> SpendLimit | None:
        """Return the key's limit. Raises InvalidRequest for a limit without a threshold."""
        return None if self.limit is None else self.limit.applied_to(None)


class KeyPatchBody(BaseModel):
    """Changes to a key. Fields left out stay; null removes the name or the limit.

    Unknown fields are ignored, so that a key may be sent back as it was received.
    """

    model_config = ConfigDict(strict=True)

    name: Name | None = None
    disabled: bool | None = None
    scopes: Scopes | None = None
    limit: LimitBody | None = None

    def applied_to(self, present: ApiKey) -> KeyPatch:
        """Return the values that the key's fields take. Raises InvalidRequest for a limit without a threshold."""
        given = self.model_fields_set
        return KeyPatch(
            name=(self.name or "") if "name" in given else present.name,
            disabled=present.disabled if self.disabled is None else self.disabled,
            scopes=present.scopes if self.scopes is None else tuple(self.scopes),
            limit=self._limit(present.limit) if "limit" in given else present.limit,
        )

    def _limit(self, present: SpendLimit | None) -> SpendLimit | None:
        return None if self.limit is None else self.limit.applied_to(present)


class KeyLimitFields(BaseModel):
    """The spend limit of a key, in USD."""

    retention: Retention
    threshold: float


class KeyFields(BaseModel):
    """A key without its secret."""

    kind: KeyKind
    name: str | None
    disabled: bool
    prefix: str
    scopes: list[str]
    limit: KeyLimitFields | None
    created_at: WireTime
    updated_at: WireTime
    monthly_usage: float


class CreatedKeyFields(KeyFields):
    """A new key with its secret. A key without a limit has no `limit` here."""

    limit: KeyLimitFields | None = None
    key: str


class ListedKeyFields(KeyFields):
    """A key in the list: also when it last made a request, and in USD what counts against its limit now."""

    last_used_at: WireTime | None
    limit_usage: float | None


class KeyResponse(BaseModel):
    """One key."""

    data: KeyFields


class CreatedKeyResponse(BaseModel):
    """A new key."""

    data: CreatedKeyFields


class KeyListResponse(BaseModel):
    """All keys of an account, oldest first."""

    data: list[ListedKeyFields]


class DeletedKeyFields(BaseModel):
    """What was deleted."""

    prefix: str
    deleted: bool


class DeletedKeyResponse(BaseModel):
    """A deleted key."""

    data: DeletedKeyFields


def key_fields(key: ApiKey) -> KeyFields:
    """Return a key as responses show it."""
    return KeyFields(**_values(key))


def listed_key_fields(
    key: ApiKey, *, last_used_at: datetime | None, limit_usage_usd: Decimal | None
) -> ListedKeyFields:
    """Return a key as the list shows it."""
    limit_usage = None if limit_usage_usd is None else float(limit_usage_usd)
    return ListedKeyFields(**_values(key), last_used_at=last_used_at, limit_usage=limit_usage)


def created_key_fields(created: CreatedKey) -> CreatedKeyFields:
    """Return a new key as the response to its creation shows it."""
    values = _values(created.api_key)
    if values["limit"] is None:
        del values["limit"]
    return CreatedKeyFields(**values, key=created.secret)


def _values(key: ApiKey) -> dict[str, Any]:
    limit = key.limit
    return {
        "kind": key.kind,
        "name": key.name or None,
        "disabled": key.disabled,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "limit": limit and KeyLimitFields(retention=limit.retention, threshold=float(limit.threshold_usd)),
        "created_at": key.created_at,
        "updated_at": key.updated_at,
        "monthly_usage": float(key.monthly_usage_usd),
    }
