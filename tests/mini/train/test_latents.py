"""The linear code: what it keeps comes back, and it is fitted to what it sees."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mini.train import latents
from mini.train.latents import BLOCK_PX, LinearCode, blocks, to_pixels


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitting solves for as many components as a block has numbers: seconds at the real size."""
    monkeypatch.setattr(latents, "BLOCK_PX", 4)


def pictures(*, seed: int, side: int = 64) -> torch.Tensor:
    return torch.rand(6, 3, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def fading_pictures() -> torch.Tensor:
    """48 numbers a block, of which each varies less than the one before."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(4000, 48, generator=generator) * 0.8 ** torch.arange(48)
    turned = rows @ torch.linalg.qr(torch.randn(48, 48, generator=generator)).Q + 0.3
    return turned.view(4000, 3, 4, 4)


def test_codes_have_one_point_for_every_block(code: LinearCode) -> None:
    assert code.encode(torch.zeros(2, 3, 32, 96)).shape == (2, 16, 1, 3)
    assert code.decode(torch.zeros(2, 16, 1, 3)).shape == (2, 3, 32, 96)


def test_a_code_comes_back_from_its_own_picture(code: LinearCode) -> None:
    latent = torch.randn(2, 16, 2, 3)
    torch.testing.assert_close(code.encode(code.decode(latent)), latent, atol=1e-3, rtol=1e-3)


@pytest.mark.usefixtures("small_blocks")
def test_a_fitted_code_comes_back_from_its_own_picture() -> None:
    code = LinearCode.fit([fading_pictures()], num_channels=8)
    latent = torch.randn(2, 8, 2, 3)
    torch.testing.assert_close(code.encode(code.decode(latent)), latent, atol=1e-3, rtol=1e-3)


@pytest.mark.usefixtures("small_blocks")
def test_a_code_keeps_what_varies_most() -> None:
    seen = fading_pictures()
    spread = (0.8 ** torch.arange(48)).square()
    for num_channels in (4, 12):
        code = LinearCode.fit([seen], num_channels=num_channels)
        lost = (code.decode(code.encode(seen)) - seen).square().flatten(1).sum(1).mean()
        assert lost.item() == pytest.approx(spread[num_channels:].sum().item(), rel=0.1)


@pytest.mark.usefixtures("small_blocks")
def test_as_many_channels_as_a_block_has_numbers_lose_nothing() -> None:
    seen = pictures(seed=0, side=16)
    code = LinearCode.fit([seen], num_channels=48)
    torch.testing.assert_close(code.decode(code.encode(seen)), seen, atol=1e-3, rtol=1e-3)


@pytest.mark.usefixtures("small_blocks")
def test_codes_of_the_fitted_pictures_have_unit_spread_and_less_contrast() -> None:
    latent = LinearCode.fit([fading_pictures()], num_channels=8).encode(fading_pictures())[:, :, 0, 0]
    assert latent.square().mean().sqrt().item() == pytest.approx(1.0, abs=0.02)
    assert latent.mean(0).abs().max() < 0.01
    # Whitening by half leaves the square root of each component's own ratio.
    assert (latent.std(0)[7] / latent.std(0)[0]).item() == pytest.approx((0.8**7) ** 0.5, rel=0.1)


@pytest.mark.usefixtures("small_blocks")
def test_pictures_of_several_sizes_fit_together() -> None:
    code = LinearCode.fit([pictures(seed=0, side=16), pictures(seed=1, side=8)], num_channels=5)
    assert code.encode(pictures(seed=2, side=8)).shape == (6, 5, 2, 2)


def test_saving_and_loading_keep_every_bit(code: LinearCode, tmp_path: Path) -> None:
    code.save(tmp_path / "code.safetensors")
    loaded = LinearCode.load(tmp_path / "code.safetensors")
    latent = code.encode(pictures(seed=1))
    assert torch.equal(loaded.encode(pictures(seed=1)), latent)
    assert torch.equal(loaded.decode(latent), code.decode(latent))


def test_blocks_are_taken_row_by_row() -> None:
    pixels = torch.arange(2 * 3, dtype=torch.float32).view(1, 1, 2, 3).repeat(1, 3, 1, 1)
    rows = blocks(pixels.repeat_interleave(BLOCK_PX, 2).repeat_interleave(BLOCK_PX, 3))
    assert rows.shape == (6, 3 * BLOCK_PX**2)
    assert rows.mean(1).tolist() == [0, 1, 2, 3, 4, 5]


def test_bytes_become_channels_in_the_unit_range() -> None:
    picture = np.zeros((1, 2, 4, 3), np.uint8)
    picture[0, 1, 3] = (255, 51, 0)
    pixels = to_pixels(picture)
    assert (pixels.shape, pixels.dtype) == ((1, 3, 2, 4), torch.float32)
    torch.testing.assert_close(pixels[0, :, 1, 3], torch.tensor([1.0, -0.6, -1.0]))
