"""The straight way through both ends of the network."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from danqing.hunyuan_image3.model import HunyuanImage3
from mini.train.network_start import START_GAIN, can_open, open_straight_way
from mini.train.recipe import Recipe
from mini.train.transformer import new_network

SIZES = [(64, 192), (128, 320)]


def spread_of(num_channels: int) -> Tensor:
    return torch.linspace(3.3, 0.55, num_channels)


def ends(recipe: Recipe, dtype: torch.dtype, latent_channels: int, hidden_size: int) -> HunyuanImage3:
    """A network of the shipped ends and hardly anything between."""
    small = replace(
        recipe,
        hidden_size=256,
        num_layers=1,
        latent_channels=latent_channels,
        patch_embed_hidden_size=hidden_size,
        vae_block_channels=(latent_channels,) * 4,
    )
    model = new_network(small, dtype=dtype, device=torch.device("cpu"))
    assert can_open(model)
    open_straight_way(model, spread_of(latent_channels))
    return model


def through(model: HunyuanImage3, latent: Tensor) -> Tensor:
    height, width = latent.shape[2:]
    with torch.inference_mode():
        time = torch.zeros(len(latent), model.config.hidden_size, dtype=model.dtype)
        tokens = model.patch_embed(latent.to(model.dtype), time)
        return model.final_layer(tokens, time, height=height, width=width).float()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [0.1, 1.0])
@pytest.mark.parametrize(("latent_channels", "hidden_size"), SIZES)
def test_what_goes_in_comes_out_at_the_start_gain_whatever_its_spread_and_mean(
    recipe: Recipe, dtype: torch.dtype, scale: float, latent_channels: int, hidden_size: int
) -> None:
    torch.manual_seed(0)
    latent = scale * spread_of(latent_channels)[:, None, None] * torch.randn(2, latent_channels, 6, 10) + 0.5
    out = through(ends(recipe, dtype, latent_channels, hidden_size), latent) / START_GAIN
    assert float((out - latent).square().mean() / latent.square().mean()) < 5e-3


def test_without_the_start_the_ends_do_not_let_it_through(recipe: Recipe) -> None:
    torch.manual_seed(0)
    small = replace(recipe, hidden_size=256, num_layers=1, latent_channels=64, patch_embed_hidden_size=192)
    model = new_network(small, dtype=torch.float32, device=torch.device("cpu"))
    latent = torch.randn(1, 64, 6, 10)
    assert float((through(model, latent) - START_GAIN * latent).square().mean()) > 0.2


def test_ends_of_other_sizes_are_left_as_they_are(recipe: Recipe) -> None:
    model = new_network(recipe, dtype=torch.float32, device=torch.device("cpu"))
    assert not can_open(model)
