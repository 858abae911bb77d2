"""Styles: another picture of the same size, each in its own way, at any resolution."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from danqing.training.scenes.landscapes import landscape
from danqing.training.scenes.scene import Style
from danqing.training.scenes.styles import PIXELS_PER_CELL, in_style

CELL_PX = 32
STYLES = [style for style in Style if style is not Style.FLAT]


def picture(cell_px: int = CELL_PX) -> Image.Image:
    return landscape("farm", mood=0, width_px=5 * cell_px, height_px=3 * cell_px)


def styled(style: Style, cell_px: int = CELL_PX) -> NDArray[np.float64]:
    return np.asarray(in_style(picture(cell_px), style, cell_px), np.float64)


def test_flat_is_the_picture_itself() -> None:
    assert np.array_equal(styled(Style.FLAT), np.asarray(picture()))


@pytest.mark.parametrize("style", STYLES)
def test_a_style_keeps_the_size_and_changes_the_picture(style: Style) -> None:
    assert styled(style).shape == (3 * CELL_PX, 5 * CELL_PX, 3)
    assert np.abs(styled(style) - styled(Style.FLAT)).mean() > 3


@pytest.mark.parametrize("style", STYLES)
def test_no_style_looks_like_another(style: Style) -> None:
    for other in set(STYLES) - {style}:
        assert np.abs(styled(style) - styled(other)).mean() > 8, other


@pytest.mark.parametrize("style", STYLES)
def test_a_style_at_half_the_size_is_the_average_of_the_whole(style: Style) -> None:
    averaged = styled(style, 2 * CELL_PX).reshape(3 * CELL_PX, 2, 5 * CELL_PX, 2, 3).mean((1, 3))
    assert np.abs(averaged - styled(style)).mean() < 5


def test_a_style_does_not_paint_on_the_shared_picture() -> None:
    before = np.array(picture())
    for style in Style:
        styled(style)
    assert np.array_equal(before, np.asarray(picture()))


def test_a_pencil_has_no_colours_and_neon_glows_in_the_dark() -> None:
    flat, pencil, neon = (styled(style) for style in (Style.FLAT, Style.PENCIL, Style.NEON))
    assert np.ptp(pencil, axis=-1).max() < 12 < np.ptp(flat, axis=-1).max()
    assert neon.mean() < 0.7 * flat.mean()


def test_pixel_art_is_made_of_squares() -> None:
    side = CELL_PX // PIXELS_PER_CELL
    squares = styled(Style.PIXEL).reshape(3 * PIXELS_PER_CELL, side, 5 * PIXELS_PER_CELL, side, 3)
    assert np.ptp(squares, axis=(1, 3)).max() == 0
