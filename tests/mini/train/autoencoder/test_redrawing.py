"""The shipped checkpoint draws a scene's code anew: the same scene, with errors of its own."""

import random

import torch

from danqing.engines import BUNDLED_CHECKPOINT
from mini.train.autoencoder.redrawing import Redrawing
from mini.train.latents import BLOCK_PX, SHIPPED_CODE, LinearCode
from mini.train.shards import draw_pictures, sample_scenes
from mini.world.scene import Grid


def test_codes_drawn_anew_are_near_the_true_ones_and_depend_on_the_seed_alone(emoji_font_installed: None) -> None:
    scenes = sample_scenes(random.Random(1), 3, Grid(8, 8))
    code = LinearCode.load(SHIPPED_CODE).encode(draw_pictures(scenes, BLOCK_PX))
    redrawing = Redrawing(BUNDLED_CHECKPOINT)
    first, second = (redrawing.redraw(scenes, code, random.Random(2)) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == code.shape
    # Noise of the lowest level alone would leave as much as the code's own variance.
    errors = (first - code).square().mean((1, 2, 3)) / code.var()
    assert all(0.01 < float(error) < 0.3 for error in errors), errors
