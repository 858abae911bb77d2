"""Entity tags, as RFC 9110 compares them for If-None-Match."""

import pytest

from danqing.etags import etag_of, names_etag

TAG = '"a,b"'


@pytest.mark.parametrize("header", ['"a,b"', 'W/"a,b"', '"x", "a,b"', '"x",W/"a,b" , "y"', "*", " * "])
def test_the_header_names_a_tag_by_weak_comparison_in_a_list_or_as_a_star(header):
    assert names_etag(header, TAG)
    assert names_etag(header, f"W/{TAG}")


@pytest.mark.parametrize("header", ["", '"a"', '"b"', "a,b", 'x"a,b', '"xa,b"', '"a,b', '"*"', '"x", *', 'W/"A,B"'])
def test_other_tags_and_parts_of_tags_are_not_it(header):
    assert not names_etag(header, TAG)


def test_a_tag_changes_with_the_content():
    assert etag_of(b"a") == etag_of(b"a") != etag_of(b"b")
    assert names_etag(etag_of(b"a"), etag_of(b"a"))
