"""Names of time zones."""

import pytest
from pydantic import TypeAdapter, ValidationError

from danqing.api.time_zones import ZoneName


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "Europe/Berlin", "Europe/Oslo", "Asia/Kolkata", "Etc/GMT+5"])
def test_canonical_names_are_accepted(name):
    assert TypeAdapter(ZoneName).validate_python(name) == name


@pytest.mark.parametrize(
    "name", ["", "utc", "europe/berlin", "Europe/berlin", "+05:00", "UTC+2", "US/Eastern", "Asia/Calcutta", "GMT0"]
)
def test_aliases_offsets_and_other_spellings_are_refused(name):
    with pytest.raises(ValidationError, match="canonical IANA"):
        TypeAdapter(ZoneName).validate_python(name)


@pytest.mark.parametrize("name", ["../UTC", "/etc/passwd", "Europe/Berlin\x00", "posixrules", "zone.tab", "Europe"])
def test_no_other_file_is_a_zone(name):
    with pytest.raises(ValidationError, match="canonical IANA"):
        TypeAdapter(ZoneName).validate_python(name)
