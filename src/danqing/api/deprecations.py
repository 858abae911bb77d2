"""Deprecations: models that are to go, or gone, for clients that want to know in time."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from danqing.api.periods import Moment, WireTime


class DeprecationStatus(StrEnum):
    """Still served but to be shut down; still served but with a better successor; no longer served."""

    DEPRECATED = "deprecated"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"


class Deprecation(BaseModel):
    """One model that is to go; `shutdown_at` and `replaced_by` are None where nothing is decided."""

    id: str
    aliases: tuple[str, ...] = ()
    status: DeprecationStatus
    deprecated_at: WireTime
    shutdown_at: WireTime | None = None
    replaced_by: str | None = None
    reason: str


class DeprecationBody(BaseModel):
    """The list of deprecations."""

    object: Literal["list"]
    generated_at: WireTime
    data: list[Deprecation]


_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)

# The one model of this server is here to stay. A model that a release retires gets its entry here.
DEPRECATIONS: tuple[Deprecation, ...] = ()


def select_deprecations(
    deprecations: Sequence[Deprecation], *, statuses: Sequence[str], since: str | None
) -> list[Deprecation]:
    """Return the deprecations with one of the statuses that began at `since` (ISO 8601) or later, newest first.

    A filter that cannot be read filters nothing: a client with a typing mistake must not miss a shutdown.
    """
    known = {status.value for status in DeprecationStatus}
    chosen = set(statuses) if statuses and known.issuperset(statuses) else known
    begin = _moment(since)
    selected = [one for one in deprecations if one.status in chosen and (begin is None or one.deprecated_at >= begin)]
    return sorted(selected, key=lambda one: (one.deprecated_at, one.id), reverse=True)


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else _MOMENT.validate_python(text)
    except ValidationError:
        return None
