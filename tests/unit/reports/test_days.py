"""Days of a time zone, over every kind of change that a zone makes."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from danqing.api.time_zones import canonical_names
from danqing.reports.days import split_into_days
from danqing.reports.windows import MAX_WINDOW

# A zone, the window's first and last UTC day, and the hours of each local date in it.
CHANGES = [
    ("UTC", (2026, 7, 1), (2026, 7, 3), {(2026, 7, 1): 24, (2026, 7, 2): 24}),
    ("Asia/Kolkata", (2026, 7, 1), (2026, 7, 2), {(2026, 7, 1): 18.5, (2026, 7, 2): 5.5}),
    ("Asia/Kathmandu", (2026, 7, 1), (2026, 7, 2), {(2026, 7, 1): 18.25, (2026, 7, 2): 5.75}),
    # Summer time begins and ends.
    (
        "Europe/Berlin",
        (2026, 3, 28),
        (2026, 3, 31),
        {(2026, 3, 28): 23, (2026, 3, 29): 23, (2026, 3, 30): 24, (2026, 3, 31): 2},
    ),
    ("Europe/Berlin", (2026, 10, 24), (2026, 10, 26), {(2026, 10, 24): 22, (2026, 10, 25): 25, (2026, 10, 26): 1}),
    ("America/New_York", (2026, 11, 1), (2026, 11, 3), {(2026, 10, 31): 4, (2026, 11, 1): 25, (2026, 11, 2): 19}),
    # By half an hour, and by two hours.
    ("Australia/Lord_Howe", (2026, 4, 4), (2026, 4, 6), {(2026, 4, 4): 13, (2026, 4, 5): 24.5, (2026, 4, 6): 10.5}),
    ("Antarctica/Troll", (2026, 3, 29), (2026, 3, 30), {(2026, 3, 29): 22, (2026, 3, 30): 2}),
    # A day that begins at 01:00, and one whose first hour comes twice.
    ("America/Havana", (2026, 3, 8), (2026, 3, 10), {(2026, 3, 7): 5, (2026, 3, 8): 23, (2026, 3, 9): 20}),
    ("America/Havana", (2026, 11, 1), (2026, 11, 3), {(2026, 10, 31): 4, (2026, 11, 1): 25, (2026, 11, 2): 19}),
    # Samoa had no 30 December 2011. St. John's went back to the day before, one minute into the next.
    ("Pacific/Apia", (2011, 12, 30), (2012, 1, 1), {(2011, 12, 29): 10, (2011, 12, 31): 24, (2012, 1, 1): 14}),
    ("America/St_Johns", (2010, 11, 7), (2010, 11, 8), {(2010, 11, 6): 2.5 + 59 / 60, (2010, 11, 7): 20.5 + 1 / 60}),
]
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(2040, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(("zone", "first", "last", "hours"), CHANGES)
def test_days_are_as_long_as_the_zone_makes_them(zone, first, last, hours):
    lengths = {}
    for piece in split_into_days(datetime(*first, tzinfo=UTC), datetime(*last, tzinfo=UTC), zone=ZoneInfo(zone)):
        lengths[piece.date] = lengths.get(piece.date, timedelta()) + (piece.end - piece.start)
    assert lengths == {date(*day): timedelta(hours=length) for day, length in hours.items()}


@given(
    start=MOMENTS,
    length=st.timedeltas(timedelta(microseconds=1), MAX_WINDOW),
    name=st.sampled_from(sorted(canonical_names())),
    shares=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20),
)
def test_every_moment_lies_in_one_piece_with_its_local_date(start, length, name, shares):
    zone = ZoneInfo(name)
    pieces = list(split_into_days(start, start + length, zone=zone))
    assert (pieces[0].start, pieces[-1].end) == (start, start + length)
    assert all(before.end == after.start for before, after in pairwise(pieces))
    inner = [start + length * share for share in shares]
    edges = [piece.start for piece in pieces] + [piece.end - timedelta(microseconds=1) for piece in pieces]
    for moment in [*edges, *(moment for moment in inner if moment < start + length)]:
        (piece,) = [piece for piece in pieces if piece.start <= moment < piece.end]
        assert piece.date == moment.astimezone(zone).date()


def test_a_window_without_length_has_no_days():
    start = datetime(2026, 7, 1, tzinfo=UTC)
    assert list(split_into_days(start, start, zone=UTC)) == []
