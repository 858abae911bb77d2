"""A decoder that has learned nothing yet draws nearly what the best linear decoder draws."""

import torch
from smooth_pictures import CHANNELS, smooth_basis, smooth_examples

from danqing.hunyuan_image3.vae import Vae
from mini.train.autoencoder.linear_start import components, quarters, set_point, start_linear, synthesis
from mini.train.checkpoint import model_config
from mini.train.recipe import PIXELS_PER_TOKEN, Recipe


def test_an_untrained_decoder_draws_nearly_as_the_linear_one() -> None:
    torch.manual_seed(0)
    vae = Vae(model_config(Recipe(latent_channels=CHANNELS)).vae)
    start_linear(vae, smooth_examples(0))
    for code, picture in smooth_examples(1):
        with torch.inference_mode():
            drawn = vae.decode_unscaled(code)
        assert (drawn - picture).norm() / (picture - picture.mean()).norm() < 0.2


def test_synthesis_finds_the_linear_map() -> None:
    basis, spread = synthesis(smooth_examples(0) * 4, side_px=PIXELS_PER_TOKEN)
    assert torch.allclose(basis[:, :-1].float(), smooth_basis(PIXELS_PER_TOKEN), atol=1e-2)
    assert torch.allclose(basis[:, -1].float(), torch.tensor(0.1), atol=1e-2)
    assert spread[-1, -1] == 1


def test_a_set_convolution_leaves_channels_that_carry_nothing_to_learn() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(4, 8, 3, padding=1)
    matrix = torch.randn(8, 2)
    with torch.no_grad():
        set_point(layer, matrix)
        x = torch.randn(1, 4, 5, 5) * torch.tensor([1.0, 1, 0, 0])[:, None, None]
        drawn = layer(x) + x.repeat_interleave(2, dim=1)
    assert torch.allclose(drawn, torch.einsum("oc,bchw->bohw", matrix, x[:, :2]), atol=1e-5)
    assert layer.weight[:, 2:].abs().min() > 0


def test_quarters_are_cut_row_by_row() -> None:
    block = torch.arange(4 * 4 * 3.0).view(4, 4, 3)
    upper_left, upper_right, lower_left, _ = quarters(block.reshape(-1, 1), side_px=4)
    assert torch.equal(upper_left[:, 0].view(2, 2, 3), block[:2, :2])
    assert torch.equal(upper_right[:, 0].view(2, 2, 3), block[:2, 2:])
    assert torch.equal(lower_left[:, 0].view(2, 2, 3), block[2:, :2])


def test_components_span_what_holds_most_energy() -> None:
    columns = torch.diag(torch.tensor([1.0, 5.0, 3.0, 0.1]))
    directions = components(columns, count=2)
    assert torch.allclose(directions.abs(), torch.eye(4)[:, [1, 2]], atol=1e-5)
