"""Moments and periods on the wire: `2026-11-23T10:00:00.000Z`, `24h`, `7d`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, PlainValidator, WithJsonSchema

from danqing.api.issues import complain
from danqing.reports.windows import MAX_WINDOW

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1)}
FIRST_YEAR, LAST_YEAR = 1970, 9000

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PERIOD = re.compile(r"([0-9]{1,4})([hd])")


def parse_period(value: str) -> timedelta:
    """Read a number of hours or days."""
    match = _PERIOD.fullmatch(value)
    period = int(match[1]) * UNITS[match[2]] if match else timedelta()
    if not timedelta() < period <= MAX_WINDOW:
        message = f"Must be a number of hours or days up to {MAX_WINDOW.days}d, such as 24h or 7d"
        raise complain("invalid_string", message, validation="regex")
    return period


def wire_time(moment: datetime) -> str:
    """Return a moment in UTC as responses write it, with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _written_as_date(value: object) -> object:
    # Bare numbers would pass as seconds since 1970, which nobody means.
    if isinstance(value, str) and _DATE.match(value) is None:
        raise complain("invalid_string", "Must be a moment such as 2026-11-23T10:00:00Z", validation="datetime")
    return value


def _with_offset(value: datetime) -> datetime:
    if value.tzinfo is None:
        message = "Must have an offset from UTC, such as 2026-11-23T10:00:00Z"
        raise complain("invalid_string", message, validation="datetime")
    return value


def _in_utc(value: datetime) -> datetime:
    # Years at the ends of the calendar leave it when they change their time zone.
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise complain("custom", f"Must be between the years {FIRST_YEAR} and {LAST_YEAR}")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Period = Annotated[timedelta, PlainValidator(parse_period), WithJsonSchema({"type": "string", "example": "7d"})]
# Without an offset, a moment is in UTC.
Moment = Annotated[datetime, BeforeValidator(_written_as_date), AfterValidator(_in_utc)]
MomentWithOffset = Annotated[
    datetime, BeforeValidator(_written_as_date), AfterValidator(_with_offset), AfterValidator(_in_utc)
]
# A moment in a response.
WireTime = Annotated[datetime, PlainSerializer(wire_time, return_type=str)]
