"""Starts a decoder as the inverse of the linear code, so that training only has to sharpen.

Between its residual blocks the decoder is linear: each level turns a block's coefficients into those of its four
quarters. So the principal components of ever smaller blocks, one level at a time, undo the code exactly as well as
linear maps can, and the residual blocks start as the identity.

GroupNorm and SiLU before the last convolution are made linear too. Every group is a pair of channels, whose common mean
and spread it removes; large constants in the pair make the spread known, and SiLU is nearly straight around
`OPERATING_POINT`:

- A detail's pair is (s, K). Its mean over the image is lost, which is about zero anyway.
- A flat colour's mean matters. With K on the white squares of a chessboard and -K on the black ones, the pair
  (K + s, K - s) has mean 0 and spread K, and SiLU silences the black squares; a second pair, with the colours
  exchanged, serves those.

Letters: C and Q channels of a level and of the next, P pixels of a block (height * width * 3), r quarter of a block.
"""

import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.vae import AttentionBlock, Decoder, ResidualBlock, Upsample
from danqing.training.dataset import RENDER_BATCH, draw_samples
from danqing.training.latents import LinearCode, half_size
from danqing.training.recipe import BUCKET_SHARES, PIXELS_PER_TOKEN

# The flat constant shares its channel with the signal: larger would leave bfloat16 no digits for the signal.
FLAT_CONSTANT, DETAIL_CONSTANT = 10.0, 24.0
CHESSBOARD = (1.0, -1.0, -1.0, 1.0)  # of the four quarters of a block
NUM_FLAT = 3
RIDGE = 1e-4
OPERATING_POINT = 4.5
SIGNAL_GAIN = 0.7


@dataclass(frozen=True)
class Synthesis:
    """The best linear drawing of a full-size block from its code z: `basis @ (z, 1)`; `spread` is the mean of
    (z, 1) (z, 1)^T."""

    basis_PC: Tensor
    spread_CC: Tensor


def fit_synthesis(code: LinearCode, *, num_pictures: int) -> Synthesis:
    """Least squares over random pictures of every size trained on."""
    side, channels = PIXELS_PER_TOKEN, code.encode_KC.shape[1]
    spread = torch.zeros(channels + 1, channels + 1)
    product = torch.zeros(channels + 1, 3 * side * side)
    num_rows, rng = 0, random.Random(2)
    for width_px, height_px in BUCKET_SHARES:
        for _ in range(num_pictures // RENDER_BATCH // len(BUCKET_SHARES)):
            pictures, _ = draw_samples(rng, RENDER_BATCH, width_px=width_px, height_px=height_px)
            z = code.encode(half_size(pictures)).permute(0, 2, 3, 1).flatten(0, 2)
            z = torch.cat([z, torch.ones(len(z), 1)], dim=1)
            pixels = torch.from_numpy(pictures).float() / 127.5 - 1
            grid = pixels.view(RENDER_BATCH, height_px // side, side, width_px // side, side, 3)
            spread += z.T @ z
            product += z.T @ grid.transpose(2, 3).reshape(len(z), -1)
            num_rows += len(z)
    spread, product = spread / num_rows, product / num_rows
    basis = torch.linalg.solve(spread + RIDGE * torch.eye(channels + 1), product).T
    return Synthesis(basis.contiguous(), spread)


def quarters(block_P_columns: Tensor, *, side_px: int) -> list[Tensor]:
    """Cut blocks [side * side * 3, columns] into four, row by row, each [side/2 * side/2 * 3, columns]."""
    half = side_px // 2
    grid = block_P_columns.view(2, half, 2, half, 3, -1).permute(0, 2, 1, 3, 4, 5)
    return list(grid.reshape(4, half * half * 3, -1))


def components(factors_P_columns: Tensor, *, count: int) -> Tensor:
    """The `count` directions that hold most of the columns' energy, [P, count]."""
    energy, directions = torch.linalg.eigh(factors_P_columns @ factors_P_columns.T)
    return directions[:, energy.argsort(descending=True)[:count]]


@torch.no_grad()
def set_upsample(layer: Upsample, quarter_maps: list[Tensor], quarter_biases: list[Tensor]) -> None:
    """Make the level's step compute `map_r @ x + bias_r` for each quarter r."""
    conv = layer.conv
    assert isinstance(conv, nn.Conv2d)
    num_out, num_in = conv.weight.shape[:2]
    shortcut = torch.eye(num_in).repeat_interleave(num_out // num_in, dim=0)
    conv.weight.zero_()
    conv.weight[:, :, 1, 1] = torch.cat(quarter_maps) - shortcut
    assert conv.bias is not None
    conv.bias.copy_(torch.cat(quarter_biases))


@torch.no_grad()
def start_linear(decoder: Decoder, synthesis: Synthesis) -> None:
    """Set all parameters so that the decoder draws what `synthesis` draws.

    The decoder's latent channels must equal its first width.
    """
    for module in decoder.modules():
        if isinstance(module, ResidualBlock):
            nn.init.zeros_(module.conv2.weight)  # type: ignore[arg-type]
            nn.init.zeros_(module.conv2.bias)  # type: ignore[arg-type]
        if isinstance(module, AttentionBlock):
            nn.init.zeros_(module.proj_out.weight)  # type: ignore[arg-type]
            nn.init.zeros_(module.proj_out.bias)  # type: ignore[arg-type]
    nn.init.zeros_(decoder.conv_in.weight)  # type: ignore[arg-type]
    nn.init.zeros_(decoder.conv_in.bias)  # type: ignore[arg-type]
    # The mean block is one more column, with a coefficient that is always 1.
    basis, spread, side_px = synthesis.basis_PC.double(), synthesis.spread_CC.double(), PIXELS_PER_TOKEN
    steps = [level.upsample for level in decoder.up if hasattr(level, "upsample")]
    for index, step in enumerate(steps):
        assert isinstance(step, Upsample)
        last = index == len(steps) - 1
        assert isinstance(step.conv, nn.Conv2d)
        num_channels = step.conv.out_channels // 4
        count = num_channels // 2 - NUM_FLAT if last else num_channels
        parts = quarters(basis, side_px=side_px)
        root = torch.linalg.cholesky(spread + 1e-9 * torch.eye(len(spread)))
        directions = components(torch.cat([part @ root for part in parts], dim=1), count=count)
        maps = [directions.T @ part for part in parts]
        following = sum(m @ spread @ m.T for m in maps) / 4
        assert isinstance(following, Tensor)
        scale = following.diagonal().clamp_min(1e-9).sqrt()
        maps = [m / scale[:, None] for m in maps]
        basis, spread = directions * scale, following / scale[:, None] / scale
        side_px //= 2
        biases = [torch.zeros(count)] * 4
        if index == 0:
            biases, maps = [m[:, -1].float() for m in maps], [m[:, :-1] for m in maps]
        if last:
            maps, biases = [_paired(m) for m in maps], [_constants(count, sign=sign) for sign in CHESSBOARD]
        set_upsample(step, [m.float() for m in maps], biases)
    _set_output(decoder, basis.float())


def _paired(map_QC: Tensor) -> Tensor:
    """Rows of the channel pairs: four per flat colour (s, -s, s, -s), two per detail (s, 0)."""
    flat, detail = map_QC[:NUM_FLAT], map_QC[NUM_FLAT:]
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=map_QC.dtype)
    flat = (flat[:, None] * signs[:, None]).flatten(0, 1)
    return torch.cat([flat, torch.stack([detail, torch.zeros_like(detail)], dim=1).flatten(0, 1)])


def _constants(num_signals: int, *, sign: float) -> Tensor:
    """The constants of the same pairs on one colour of the chessboard."""
    flat = torch.tensor([sign, sign, -sign, -sign]) * FLAT_CONSTANT
    detail = torch.tensor([0.0, DETAIL_CONSTANT])
    return torch.cat([flat.repeat(NUM_FLAT), detail.repeat(num_signals - NUM_FLAT)])


@torch.no_grad()
def _set_output(decoder: Decoder, basis_PQ: Tensor) -> None:
    """Make GroupNorm, SiLU and the last convolution draw `basis @ s` from the pairs."""
    norm, conv = decoder.norm_out, decoder.conv_out
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    num_flat = 4 * NUM_FLAT
    # Normalised, a flat colour's bright channel is 1 + s / K; a detail's pair is about -1 + 2 s / K and 1.
    flat_gain, detail_gain = SIGNAL_GAIN * FLAT_CONSTANT, SIGNAL_GAIN * DETAIL_CONSTANT / 2
    norm.weight[:num_flat], norm.weight[num_flat:] = flat_gain, detail_gain
    norm.bias[:num_flat] = OPERATING_POINT - flat_gain
    norm.bias[num_flat::2] = OPERATING_POINT + detail_gain
    norm.bias[num_flat + 1 :: 2] = OPERATING_POINT - detail_gain
    point = torch.tensor(OPERATING_POINT)
    slope = torch.sigmoid(point) * (1 + point * (1 - torch.sigmoid(point)))
    weights = basis_PQ / (SIGNAL_GAIN * slope)
    flat, detail = weights[:, :NUM_FLAT, None] / 2, weights[:, NUM_FLAT:, None]
    conv.weight.zero_()
    conv.weight[:, :num_flat, 1, 1] = torch.cat([flat, -flat, flat, -flat], dim=2).flatten(1)
    conv.weight[:, num_flat:, 1, 1] = torch.cat([detail, -detail], dim=2).flatten(1)
    conv.bias.zero_()
