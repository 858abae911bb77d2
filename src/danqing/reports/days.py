"""Days of a time zone: the pieces of a window that have one local date each.

Zones change their offset at any hour, midnight included, so a date may begin at 01:00, come twice, or not at all.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from math import floor

# No zone changes its offset twice within this time, nor in the middle of a second.
_PROBE = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class DayPiece:
    """Every moment from `start` (UTC) on and before `end` has this local date."""

    date: date
    start: datetime
    end: datetime


def split_into_days(start: datetime, end: datetime, *, zone: tzinfo) -> Iterator[DayPiece]:
    """Cut the time from `start` to `end` where the local date or the zone's offset changes, in order."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    while start < end:
        local = start.astimezone(zone)
        offset = local.utcoffset() or timedelta()
        midnight = datetime.combine(local.date() + timedelta(days=1), time(), tzinfo=UTC) - offset
        piece_end = _change_of_offset(start, min(midnight, end), zone=zone)
        yield DayPiece(date=local.date(), start=start, end=piece_end)
        start = piece_end


def _change_of_offset(start: datetime, end: datetime, *, zone: tzinfo) -> datetime:
    """Return the first moment after `start` with another offset than `start` has, or `end`."""
    offset = start.astimezone(zone).utcoffset()
    before = start
    while before < end:
        after = min(before + _PROBE, end)
        if after.astimezone(zone).utcoffset() != offset:
            return _bisect(before, after, zone=zone)
        before = after
    return end


def _bisect(before: datetime, after: datetime, *, zone: tzinfo) -> datetime:
    """Return the second at which the offset of `after` begins; `before` still has another."""
    offset = after.astimezone(zone).utcoffset()
    seconds = range(floor(before.timestamp()), floor(after.timestamp()))
    index = bisect_left(
        seconds, True, key=lambda second: datetime.fromtimestamp(second, UTC).astimezone(zone).utcoffset() == offset
    )
    return datetime.fromtimestamp(seconds.start + index, UTC)
