"""Periods and moments on the wire."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import TypeAdapter, ValidationError

from danqing.api.periods import Moment, MomentWithOffset, Period, parse_period, wire_time


def test_a_period_is_a_number_of_hours_or_days():
    assert parse_period("24h") == timedelta(days=1)
    assert parse_period("7d") == timedelta(days=7)
    assert TypeAdapter(Period).validate_python("92d") == timedelta(days=92)


@pytest.mark.parametrize("text", ["", "7", "0h", "-1d", "1w", "1.5d", "9999d", "１d", "93d", "2209h"])
def test_any_other_period_is_refused(text):
    with pytest.raises(ValidationError):
        TypeAdapter(Period).validate_python(text)


def test_a_moment_without_a_zone_is_in_utc_and_others_are_converted():
    moment = TypeAdapter(Moment).validate_python
    assert moment("2026-11-23T10:00:00") == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert moment("2026-11-23T10:00:00+02:00").utcoffset() == timedelta()


def test_where_an_offset_is_asked_for_a_moment_has_one():
    moment = TypeAdapter(MomentWithOffset).validate_python
    assert moment("2026-11-23T10:00:00+02:00") == datetime(2026, 11, 23, 8, tzinfo=UTC)
    for text in ("2026-11-23T10:00:00", "2026-11-23"):
        with pytest.raises(ValidationError, match="offset"):
            moment(text)


@pytest.mark.parametrize(
    "text", ["0.5", "1795398572", "yesterday", "0001-01-01T00:00:00+10:00", "9999-12-31T23:00:00Z"]
)
def test_what_is_no_moment_of_our_time_is_refused(text):
    with pytest.raises(ValidationError):
        TypeAdapter(Moment).validate_python(text)


def test_responses_write_moments_in_utc_with_milliseconds():
    assert wire_time(datetime(2026, 11, 23, 10, 0, 0, 123_456, tzinfo=UTC)) == "2026-11-23T10:00:00.123Z"
    assert wire_time(datetime(2026, 11, 23, tzinfo=timezone(timedelta()))) == "2026-11-23T00:00:00.000Z"
