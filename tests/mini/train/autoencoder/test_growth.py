"""A grown autoencoder keeps what the smaller one has learned, and draws at twice its sides before it learns more."""

from dataclasses import replace

import pytest
import torch
from smooth_pictures import CHANNELS, smooth_examples
from torch.nn import functional as F

from danqing.hunyuan_image3.vae import Vae
from mini.train.autoencoder.growth import grow, lower_names
from mini.train.autoencoder.linear_start import start_linear
from mini.train.checkpoint import model_config
from mini.train.recipe import PIXELS_PER_TOKEN, Recipe

CONFIG = model_config(Recipe(latent_channels=CHANNELS)).vae
SMALLER = replace(CONFIG, block_channels=CONFIG.block_channels[1:], spatial_factor=PIXELS_PER_TOKEN // 2)


@pytest.fixture(scope="module")
def finished() -> Vae:
    """Linear: it has learned nothing beyond its start."""
    torch.manual_seed(0)
    vae = Vae(SMALLER)
    start_linear(vae, smooth_examples(0, side_px=PIXELS_PER_TOKEN // 2))
    return vae


@pytest.fixture(scope="module")
def grown(finished: Vae) -> Vae:
    torch.manual_seed(1)
    vae = Vae(CONFIG)
    grow(vae, finished, smooth_examples(0))
    return vae


def error(given: torch.Tensor, expected: torch.Tensor) -> float:
    """Of the spread."""
    return float((given - expected).norm() / (expected - expected.mean()).norm())


@torch.inference_mode()
def test_a_grown_decoder_draws_what_the_finished_one_draws_enlarged(grown: Vae, finished: Vae) -> None:
    for code, _ in smooth_examples(1):
        enlarged = F.interpolate(finished.decode_unscaled(code), scale_factor=2, mode="bicubic")
        assert error(grown.decode_unscaled(code), enlarged) < 0.2


@torch.inference_mode()
def test_a_grown_encoder_reads_most_of_what_the_finished_one_reads_reduced(grown: Vae, finished: Vae) -> None:
    for _, picture in smooth_examples(1):
        assert error(grown.encode(picture), finished.encode(F.avg_pool2d(picture, 2))) < 0.5


def test_levels_that_both_have_keep_their_weights(grown: Vae, finished: Vae) -> None:
    own, old = grown.state_dict(), finished.state_dict()
    assert torch.equal(own["decoder.up.2.block.0.conv1.weight"], old["decoder.up.2.block.0.conv1.weight"])
    assert torch.equal(own["encoder.down.2.downsample.conv.weight"], old["encoder.down.1.downsample.conv.weight"])


def test_the_lower_levels_of_a_grown_decoder_are_those_of_the_finished_one(grown: Vae, finished: Vae) -> None:
    names = lower_names(grown.decoder)
    own, old = grown.decoder.state_dict(), finished.decoder.state_dict()
    assert set(names) == {name for name in old if not name.startswith(("norm_out.", "conv_out."))}
    assert all(torch.equal(own[name], old[name]) for name in names)


def test_an_autoencoder_of_as_many_levels_is_refused() -> None:
    with pytest.raises(ValueError, match="must have one level less"):
        grow(Vae(CONFIG), Vae(CONFIG), smooth_examples(0)[:1])
