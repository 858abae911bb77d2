"""Cursors and limits of reports."""

import base64

import pytest

from danqing.errors import InvalidRequest
from danqing.reports.pages import MAX_PAGE_ROWS, read_cursor, require_limit, write_cursor


def test_a_cursor_reads_back_as_it_was_written(clock):
    assert read_cursor(write_cursor(clock(), "capture:x")) == (clock(), "capture:x")


@pytest.mark.parametrize("limit", [0, MAX_PAGE_ROWS + 1])
def test_a_limit_out_of_range_is_refused_by_name(limit):
    with pytest.raises(InvalidRequest) as refusal:
        require_limit(limit)
    assert refusal.value.param == "limit"


def test_a_cursor_is_accepted_in_the_exact_form_that_was_issued_alone(clock):
    cursor = write_cursor(clock(), "capture:x")
    spelled_otherwise = base64.urlsafe_b64encode(b"2026-11-23T10:00+00:00 capture:x").decode()
    for changed in (f"!{cursor}", f"{cursor}!", cursor.rstrip("="), f" {cursor}", spelled_otherwise):
        if changed != cursor:
            with pytest.raises(InvalidRequest):
                read_cursor(changed)
