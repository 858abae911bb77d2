"""Filters of deprecations."""

from datetime import UTC, datetime

import pytest

from danqing.api.deprecations import Deprecation, DeprecationStatus, select_deprecations

ALL = [
    Deprecation(id=status.value, status=status, deprecated_at=datetime(2026, month, 1, tzinfo=UTC), reason="Why.")
    for month, status in enumerate(DeprecationStatus, 1)
]
NEWEST_FIRST = ["withdrawn", "superseded", "deprecated"]


@pytest.mark.parametrize(
    ("statuses", "since", "expected"),
    [
        ([], None, NEWEST_FIRST),
        (["superseded"], None, ["superseded"]),
        (["superseded", "withdrawn"], None, ["withdrawn", "superseded"]),
        ([], "2026-02-01T00:00:00Z", ["withdrawn", "superseded"]),
        ([], "2026-02-01", ["withdrawn", "superseded"]),
        ([], "2026-02-01T00:00:01Z", ["withdrawn"]),
        (["deprecated"], "2026-02-01", []),
    ],
)
def test_filters_narrow_the_list(statuses, since, expected):
    assert _ids(statuses, since) == expected


@pytest.mark.parametrize("statuses", [["gone"], ["superseded,withdrawn"], ["superseded", "gone"], [""]])
def test_an_unknown_status_filters_nothing(statuses):
    assert _ids(statuses, None) == NEWEST_FIRST


@pytest.mark.parametrize("since", ["", "yesterday", "0", "2026-13-01", "9999-12-31T23:59:59-12:00", "\x00"])
def test_a_moment_that_cannot_be_read_filters_nothing(since):
    assert _ids([], since) == NEWEST_FIRST


def _ids(statuses, since):
    return [one.id for one in select_deprecations(ALL, statuses=statuses, since=since)]
