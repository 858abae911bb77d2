"""Sizes of memory as people write them."""

import pytest

from danqing.memory_size import memory_size


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [("12GB", 12 * 10**9), ("12 GiB", 12 * 2**30), ("1.5gb", 1_500_000_000), ("2048", 2048), (7, 7)],
)
def test_units_are_decimal_unless_they_say_otherwise(text: object, num_bytes: int) -> None:
    assert memory_size(text) == num_bytes


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "12 apples", "12,5GB", None])
def test_anything_else_is_refused_with_what_is_allowed(text: object) -> None:
    with pytest.raises(ValueError, match="must be a size such as 12GB"):
        memory_size(text)
