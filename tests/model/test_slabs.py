"""Large grids slab by slab against the same grids as a whole."""

import pytest
import torch
from tiny_checkpoints import config_values, vae_values
from torch import nn

from danqing.hunyuan_image3 import slabs
from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.vae import Vae


@pytest.fixture(params=[2, 3])
def parts(request: pytest.FixtureRequest) -> tuple[nn.Module, nn.GroupNorm, torch.Tensor]:
    torch.manual_seed(request.param)
    kind = nn.Conv3d if request.param == 3 else nn.Conv2d
    norm = nn.GroupNorm(4, 8)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return kind(8, 8, 3, padding=1), norm, 5 + 3 * torch.randn(1, 8, *(4,) * (request.param - 2), 11, 6)


@pytest.mark.parametrize("num_rows", [1, 4, 10])
@pytest.mark.parametrize("normed", [True, False])
@torch.inference_mode()
def test_slabs_give_what_the_whole_gives(
    parts: tuple[nn.Module, nn.GroupNorm, torch.Tensor], num_rows: int, normed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    conv, norm, x = parts
    chosen = norm if normed else None
    whole = slabs.convolve(conv, x, norm=chosen)
    monkeypatch.setattr(slabs, "SLAB_BYTES", num_rows * x.nbytes // x.shape[-2])
    torch.testing.assert_close(slabs.convolve(conv, x, norm=chosen), whole, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_the_sum_of_a_large_grid_is_written_over_the_first_part(
    parts: tuple[nn.Module, nn.GroupNorm, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    conv, norm, x = parts
    onto = torch.randn_like(x)
    whole = slabs.add_convolved(onto, conv, x, norm=norm)
    monkeypatch.setattr(slabs, "SLAB_BYTES", x.nbytes // 3)
    assert slabs.add_convolved(onto, conv, x, norm=norm) is onto
    torch.testing.assert_close(onto, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"ffactor_temporal": 4, "kernel_dims": 3}])
@torch.inference_mode()
def test_a_picture_decoded_in_slabs_is_the_same(changes: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    vae = Vae(parse_model_config(config_values(vae=vae_values(**changes))).vae).requires_grad_(False).eval()
    latent = torch.randn(1, 16, 3, 2)
    whole = vae.decode(latent)
    monkeypatch.setattr(slabs, "SLAB_BYTES", 1000)
    torch.testing.assert_close(vae.decode(latent), whole, atol=1e-4, rtol=1e-4)


def test_training_keeps_whole_grids(
    parts: tuple[nn.Module, nn.GroupNorm, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    conv, norm, x = parts
    monkeypatch.setattr(slabs, "SLAB_BYTES", 1)
    onto = torch.zeros_like(x)
    slabs.add_convolved(onto, conv, x, norm=norm).sum().backward()
    assert conv.weight.grad is not None
    assert not onto.any()
