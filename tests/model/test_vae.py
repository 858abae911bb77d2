"""The autoencoder: one frame needs only middle slices, four frames give their last, blocks fold and unfold."""

from typing import Any

import pytest
import torch
from tiny_checkpoints import config_values, vae_values
from torch import Tensor, nn
from torch.nn import functional as F

from danqing.hunyuan_image3.config import VaeConfig, parse_model_config
from danqing.hunyuan_image3.vae import Downsample, Upsample, Vae, fold, match_channels, unfold


def vae_config(**changes: Any) -> VaeConfig:
    return parse_model_config(config_values(vae=vae_values(**changes))).vae


def random_vae(**changes: Any) -> Vae:
    torch.manual_seed(0)
    return Vae(vae_config(**changes)).requires_grad_(False).eval()


class OneFrame(nn.Module):
    """A real 3-D convolution over a single frame, with the given 2-D kernel between random other slices."""

    def __init__(self, flat: nn.Conv2d) -> None:
        super().__init__()
        size = flat.kernel_size[0]
        self.conv = nn.Conv3d(flat.in_channels, flat.out_channels, size, padding=size // 2).requires_grad_(False)
        self.conv.weight[:, :, size // 2] = flat.weight
        self.conv.bias = flat.bias

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x[:, :, None])[:, :, 0]


def with_real_3d_kernels(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            setattr(module, name, OneFrame(child))
        else:
            with_real_3d_kernels(child)


def test_a_single_frame_of_real_3d_kernels_equals_their_middle_slices() -> None:
    vae = random_vae(layers_per_block=1)
    latent, pixels = torch.randn(1, 16, 2, 3), torch.randn(1, 3, 32, 48)
    picture, mean = vae.decode(latent), vae.encode(pixels)
    with_real_3d_kernels(vae)
    assert not any(isinstance(module, nn.Conv2d) for module in vae.modules())
    torch.testing.assert_close(vae.decode(latent), picture, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(vae.encode(pixels), mean, atol=1e-4, rtol=1e-4)


def test_a_temporal_factor_of_four_decodes_four_frames_and_keeps_the_last() -> None:
    vae = random_vae(ffactor_temporal=4, kernel_dims=3)
    latent = torch.randn(1, 16, 1, 2)
    frames = vae.decoder(vae.unscale(latent)[:, :, None])
    assert frames.shape == (1, 3, 4, 16, 32)
    assert not torch.allclose(frames[:, :, 2], frames[:, :, 3], atol=1e-3)
    assert torch.equal(vae.decode(latent), frames[:, :, 3])


def test_the_norms_see_all_four_frames() -> None:
    vae = random_vae(ffactor_temporal=4, kernel_dims=3)
    seen: list[int] = []
    vae.decoder.norm_out.register_forward_hook(lambda module, args, out: seen.append(args[0].shape[2]))
    vae.decode(torch.randn(1, 16, 1, 2))
    assert seen == [4]


@pytest.mark.parametrize("changes", [{}, {"ffactor_temporal": 4, "kernel_dims": 3}, {"output_patch_size": 2}])
def test_pictures_and_latents_differ_by_the_spatial_factor(changes: dict[str, Any]) -> None:
    vae = random_vae(**changes)
    assert vae.encode(torch.randn(1, 3, 32, 16)).shape == (1, 16, 2, 1)
    assert vae.decode(torch.randn(1, 16, 2, 1)).shape == (1, 3, 32, 16)


def test_pixel_blocks_enter_and_leave_as_channels() -> None:
    vae = random_vae(output_patch_size=4, block_out_channels=[32, 32, 32])
    # Two halvings are left of the factor of 16.
    assert (len(vae.encoder.down), len(vae.decoder.up)) == (3, 3)
    assert vae.encoder.conv_in.in_channels == vae.decoder.conv_out.out_channels == 3 * 16
    latent = torch.randn(1, 16, 1, 2)
    inside = vae.decoder(vae.unscale(latent))
    picture = vae.decode(latent)
    assert picture.shape == (1, 3, 16, 32)
    for dy in range(4):
        for dx in range(4):
            channels = inside[:, (4 * dy + dx) * 3 : (4 * dy + dx + 1) * 3]
            assert torch.equal(picture[:, :, dy::4, dx::4], channels)


def test_latents_are_divided_by_the_scale_and_then_shifted() -> None:
    vae = random_vae(scaling_factor=0.5, shift_factor=0.25)
    assert vae.unscale(torch.tensor(3.0)).item() == 6.25
    z = torch.randn(1, 16, 1, 2)
    assert torch.equal(vae.decode(z), vae.decode_unscaled(z / 0.5 + 0.25))


@pytest.mark.parametrize(
    ("shape", "factors"), [((2, 3, 4, 6), (2, 2)), ((1, 2, 4, 4, 6), (2, 2, 2)), ((1, 2, 3, 4, 6), (1, 2, 2))]
)
def test_folding_and_unfolding_are_inverses(shape: tuple[int, ...], factors: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    folded = fold(x, factors=factors)
    assert folded.numel() == x.numel()
    assert torch.equal(unfold(folded, factors=factors), x)
    assert torch.equal(fold(unfold(folded, factors=factors), factors=factors), folded)


def test_folded_channels_go_by_block_position_first() -> None:
    x = torch.randn(1, 3, 2, 4, 4)
    folded = fold(x, factors=(2, 2, 2))
    for t in range(2):
        for dy in range(2):
            for dx in range(2):
                position = (t * 2 + dy) * 2 + dx
                torch.testing.assert_close(folded[:, 3 * position : 3 * position + 3], x[:, :, t::2, dy::2, dx::2])


def test_shortcuts_repeat_each_channel_or_average_neighbours() -> None:
    x = torch.arange(4.0).view(1, 4, 1, 1)
    assert match_channels(x, 8).flatten().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert match_channels(x, 2).flatten().tolist() == [0.5, 2.5]
    assert torch.equal(match_channels(x, 4), x)


def test_a_downsampling_block_adds_the_mean_of_the_folded_input() -> None:
    block = Downsample(4, 8, temporal=False, num_dims=2).requires_grad_(False)
    block.conv.weight.zero_()
    block.conv.bias.zero_()
    x = torch.randn(1, 4, 2, 2)
    # Sixteen folded channels become eight: pairs of neighbours at the same place in the block.
    expected = torch.stack([x[0, c : c + 2, y, z].mean() for y in range(2) for z in range(2) for c in (0, 2)])
    torch.testing.assert_close(block(x)[0, :, 0, 0], expected)


def test_an_upsampling_block_adds_the_repeated_input() -> None:
    block = Upsample(8, 4, temporal=False, num_dims=2).requires_grad_(False)
    block.conv.weight.zero_()
    block.conv.bias.zero_()
    x = torch.randn(1, 8, 1, 1)
    repeated = x[0, :, 0, 0].repeat_interleave(2).view(2, 2, 4)  # row, column, channel
    torch.testing.assert_close(block(x)[0], repeated.permute(2, 0, 1))


def test_the_middle_attends_over_all_points_of_all_frames() -> None:
    vae = random_vae()
    block = vae.decoder.mid.attn_1
    x = torch.randn(1, 32, 2, 3)
    h = F.group_norm(x, 32, block.norm.weight, block.norm.bias, eps=1e-6)[0].flatten(1).T
    query, key, value = (h @ part.weight.flatten(1).T + part.bias for part in (block.q, block.k, block.v))
    seen = (query @ key.T / 32**0.5).softmax(-1) @ value
    out = seen @ block.proj_out.weight.flatten(1).T + block.proj_out.bias
    torch.testing.assert_close(block(x), x + out.T.view(1, 32, 2, 3), atol=1e-5, rtol=1e-5)
