"""Sizes: presets, limits, notation."""

import pytest

from danqing.pictures.sizes import (
    DEFAULT_PRESET,
    MAX_SIDE_PX,
    MIN_SIDE_PX,
    PRESETS_PX,
    SideTooLarge,
    SideTooSmall,
    SizeError,
    parse_size,
)


def test_a_size_is_width_by_height():
    assert parse_size("1280x768") == (1280, 768)
    assert parse_size(f"{MIN_SIDE_PX}x{MAX_SIDE_PX}") == (MIN_SIDE_PX, MAX_SIDE_PX)


def test_auto_leaves_the_size_to_the_model():
    assert parse_size("auto") is None


@pytest.mark.parametrize(
    "text", ["", "x", "64", "64x", "64X64", "64 x 64", "-64x64", "64.0x64", "６４x64", "64x64x64", "Auto"]
)
def test_any_other_notation_is_refused_with_an_example(text):
    with pytest.raises(SizeError, match="1280x768") as refused:
        parse_size(text)
    assert not isinstance(refused.value, SideTooLarge | SideTooSmall)


def test_a_side_beyond_its_limits_is_named_with_the_limit():
    with pytest.raises(SideTooSmall, match=f"Height .* {MIN_SIDE_PX}"):
        parse_size(f"{MAX_SIDE_PX}x{MIN_SIDE_PX - 1}")
    with pytest.raises(SideTooLarge, match=f"Width .* {MAX_SIDE_PX}"):
        parse_size(f"{MAX_SIDE_PX + 1}x1")


def test_every_preset_is_a_size_within_the_limits():
    assert DEFAULT_PRESET in PRESETS_PX
    for width_px, height_px in PRESETS_PX.values():
        assert parse_size(f"{width_px}x{height_px}") == (width_px, height_px)


def test_a_preset_is_a_size():
    assert parse_size("landscape_16_9") == (1280, 768)
