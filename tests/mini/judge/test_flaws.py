"""Measures of flaws: zero for the world's own pictures, and each rises with its own flaw."""

import numpy as np
import pytest
import torch

from mini.judge.drawing import draw_scene
from mini.judge.flaws import border_ratio, edges, flaw_scenes, flaws, foreignness, lab
from mini.train.recipe import PIXELS_PER_TOKEN
from mini.world.scene import Style


def test_lab_knows_the_published_coordinates() -> None:
    colours = np.array([[[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 0, 255]]], np.uint8)
    expected = torch.tensor([[100.0, 0.0, 53.24, 32.30], [0.0, 0.0, 80.09, 79.19], [0.0, 0.0, 67.20, -107.86]])
    torch.testing.assert_close(lab(colours)[:, 0], expected, atol=0.1, rtol=0)


def test_a_colour_that_stands_nearby_is_not_foreign() -> None:
    true = torch.zeros(3, 20, 20)
    true[:, :, 10:] = 50.0
    shifted = torch.zeros(3, 20, 20)
    shifted[:, :, 13:] = 50.0
    assert foreignness(shifted, true).max() == 0
    assert foreignness(torch.full((3, 20, 20), 25.0), true).min() == pytest.approx(25 * 3**0.5)


def test_an_edge_is_where_light_meets_dark_and_nowhere_else() -> None:
    picture = torch.zeros(3, 9, 30)
    picture[0, :, 15:] = 50.0
    assert edges(picture)[0].nonzero().flatten().tolist() == [12, 13, 14, 15, 16, 17]


def test_tiles_of_unequal_brightness_have_borders_and_a_slope_has_none() -> None:
    smooth = torch.ones(16, 16, dtype=torch.bool)
    slope = torch.arange(16.0).expand(3, 16, 16)
    assert border_ratio(slope + slope.mT, smooth, token_px=4) == pytest.approx(1)
    tiles = (torch.arange(16) // 4 % 2).float()
    assert border_ratio(slope + slope.mT + 3 * (tiles + tiles[:, None]), smooth, token_px=4) > 2


@pytest.mark.usefixtures("emoji_font_installed")
def test_only_what_is_wrong_with_a_picture_is_measured() -> None:
    scene = next(scene for scene in flaw_scenes(8) if scene.objects)
    assert scene.style is Style.FLAT
    true = draw_scene(scene)
    perfect = flaws(true, scene)
    assert (perfect.fringe, perfect.thing) == (0, 0)
    box = scene.objects[0].box
    top, left = max(0, box.top) * PIXELS_PER_TOKEN, max(0, box.left) * PIXELS_PER_TOKEN
    fringed = true.copy()
    fringed[top : top + PIXELS_PER_TOKEN, left : left + PIXELS_PER_TOKEN] = (255, 0, 255)
    assert flaws(fringed, scene).fringe > 0
    assert flaws(fringed, scene).thing > flaws(fringed, scene).fringe
    tiled = true.astype(np.int16)
    tiled[:, : 3 * PIXELS_PER_TOKEN] -= 8
    assert flaws(np.clip(tiled, 0, 255).astype(np.uint8), scene).border > perfect.border
