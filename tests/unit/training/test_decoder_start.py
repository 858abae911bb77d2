"""A decoder that has learned nothing yet draws what the best linear decoder draws."""

import torch

from danqing.hunyuan_image3.vae import Vae
from danqing.training.decoder_start import Synthesis, components, quarters, start_linear
from danqing.training.recipe import PIXELS_PER_TOKEN, Recipe, model_config

CHANNELS = 32


def smooth_synthesis() -> Synthesis:
    """Blocks that are sums of slow waves, as pictures mostly are, each with its own strength."""
    at = torch.linspace(0, 1, PIXELS_PER_TOKEN)
    waves = torch.stack([torch.cos(torch.pi * k * at) for k in range(4)])
    grids = torch.einsum("ih,jw->ijhw", waves, waves).flatten(0, 1)[:11]
    strength = 0.3 * 0.7 ** torch.arange(11.0)
    columns = [
        (strength[k] * grids[k])[:, :, None].expand(-1, -1, 3) * (torch.arange(3) == c)
        for k in range(11)
        for c in range(3)
    ][:CHANNELS]
    mean = torch.full((PIXELS_PER_TOKEN, PIXELS_PER_TOKEN, 3), 0.1)
    basis = torch.stack([*columns, mean], dim=-1).flatten(0, 2)
    return Synthesis(basis, torch.eye(CHANNELS + 1))


def test_an_untrained_decoder_draws_as_the_linear_one() -> None:
    torch.manual_seed(0)
    synthesis = smooth_synthesis()
    recipe = Recipe(latent_channels=CHANNELS, vae_block_channels=(64, 64, 64, 64, 32))
    vae = Vae(model_config(recipe).vae)
    start_linear(vae.decoder, synthesis)
    z = torch.randn(1, CHANNELS, 3, 2)
    with torch.inference_mode():
        drawn = vae.decode_unscaled(z)
    rows = torch.cat([z[0].permute(1, 2, 0), torch.ones(3, 2, 1)], dim=-1) @ synthesis.basis_PC.T
    grid = rows.view(3, 2, PIXELS_PER_TOKEN, PIXELS_PER_TOKEN, 3).permute(4, 0, 2, 1, 3)
    expected = grid.reshape(1, 3, 3 * PIXELS_PER_TOKEN, 2 * PIXELS_PER_TOKEN)
    error = (drawn - expected).norm() / (expected - expected.mean()).norm()
    assert error < 0.1


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
