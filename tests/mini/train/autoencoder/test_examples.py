"""Crops lie in the picture and are drawn as in the whole; codes are varied as the decoder will meet them."""

import random

import torch

from danqing.hunyuan_image3.vae import Vae
from mini.train.autoencoder.examples import (
    CODE_NOISE,
    TRUE_SHARE,
    cropped,
    draw_crops,
    edges,
    sample_corners,
    varied,
)
from mini.train.checkpoint import model_config
from mini.train.recipe import PIXELS_PER_TOKEN, Recipe


def test_edges_are_differences_of_neighbours() -> None:
    down, across = edges(torch.tensor([[1.0, 2.0], [4.0, 8.0]])[None, None])
    assert down.flatten().tolist() == [3, 6]
    assert across.flatten().tolist() == [1, 4]


def test_a_crop_is_drawn_as_in_the_whole_picture(recipe: Recipe) -> None:
    torch.manual_seed(0)
    vae = Vae(model_config(recipe).vae)
    code = torch.randn(3, 16, 2, 3)
    # At a corner of the picture, at an edge, inside.
    corners = [(0, 0), (PIXELS_PER_TOKEN, 32), (48, 64)]
    with torch.inference_mode():
        crops = draw_crops(vae, code, corners, side_px=PIXELS_PER_TOKEN)
        whole = vae.decode_unscaled(code)
    assert torch.allclose(crops, cropped(whole, corners, side=PIXELS_PER_TOKEN), atol=1e-5)


def test_crops_go_where_edges_are_and_lie_in_the_picture() -> None:
    picture = torch.zeros(1, 3, 128, 256)
    picture[..., 64:128:8] = 1
    rng = random.Random(0)
    corners = [sample_corners(picture, rng, side_px=64, patch_px=16)[0] for _ in range(200)]
    assert {top for top, _ in corners} == {0, 16, 32, 48, 64}
    assert {left for _, left in corners} <= set(range(0, 193, 16))
    with_edges = sum(0 < left < 128 for _, left in corners) / len(corners)
    # Seven of 25 tries show edges, twelve are moved to a border; the better of two shows edges more often.
    assert with_edges > 0.4


def test_without_a_checkpoint_codes_get_noise_of_many_strengths() -> None:
    code = torch.zeros(200, 4, 8, 8)
    strengths = varied(code, None, random.Random(0)).flatten(1).std(1)
    assert 0 < strengths.min() < 0.1 * CODE_NOISE
    assert 0.9 * CODE_NOISE < strengths.max() < 1.3 * CODE_NOISE


def test_with_one_most_codes_are_drawn_anew_and_some_lie_between() -> None:
    code, redrawn = torch.zeros(400, 1, 2, 2), torch.ones(400, 1, 2, 2)
    given = varied(code, redrawn, random.Random(0)).flatten(1)
    anew = (given == 1).all(1)
    between = (given == given[:, :1]).all(1) & ~anew
    assert abs(float((~anew & ~between).float().mean()) - TRUE_SHARE) < 0.1
    assert anew.float().mean() > 0.4
    assert between.float().mean() > 0.05
