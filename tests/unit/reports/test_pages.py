"""Cursors and limits of reports."""

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
