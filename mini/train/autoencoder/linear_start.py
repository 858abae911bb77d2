"""The decoder's start: the best linear decoder of the code, so that training only has to sharpen.

Between its residual blocks, which start as the identity, the decoder is linear: each level turns a block's coefficients
into those of its four quarters. The principal components of ever smaller blocks, one level at a time, invert the code
as well as linear maps can. Least squares then set the last convolution, which reads them through GroupNorm and SiLU.

GroupNorm removes the mean and the spread of every two channels of the last level, and with them a plain colour. So
every coefficient there shares its group with a constant: +K on the white squares of a chessboard, -K on the black ones.
The spread is then K's, the mean can be read from the constants, and SiLU is nearly straight around `OPERATING_POINT`.

Letters: C and Q channels of a level and of the next, P pixels of a block (height * width * 3), D inputs of the last
convolution (channels * 3 * 3, and a constant).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from danqing.hunyuan_image3.vae import AttentionBlock, Decoder, ResidualBlock, Upsample, Vae, fold, match_channels

# Codes [B, C, h, w] with their pictures at full size, in -1..1.
Examples = Sequence[tuple[Tensor, Tensor]]

RIDGE = 1e-4
OUTPUT_RIDGE = 1e-4
# A larger constant would leave bfloat16 no digits for the mean.
CONSTANT = 6.0
CHESSBOARD = (1.0, -1.0, -1.0, 1.0)  # of the four quarters of a block
OPERATING_POINT, SIGNAL_GAIN = 3.0, 2.0


@torch.no_grad()
def start_linear(vae: Vae, examples: Examples) -> None:
    """Set the decoder to draw the examples as well as it can without its residual blocks."""
    for module in vae.decoder.modules():
        if isinstance(module, ResidualBlock):
            silence(module.conv2)
        if isinstance(module, AttentionBlock):
            silence(module.proj_out)
    set_steps(vae.decoder, *synthesis(examples, side_px=vae.config.spatial_factor), vae.config.spatial_factor)
    fit_output(vae, examples)


def silence(layer: nn.Module) -> None:
    """Let a residual branch add nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def synthesis(examples: Examples, *, side_px: int) -> tuple[Tensor, Tensor]:
    """The least-squares map from (z, 1), one cell's code and a constant, to the cell's pixels, [P, C], and the mean of
    (z, 1) (z, 1)^T."""
    codes = [code.permute(0, 2, 3, 1).flatten(0, 2) for code, _ in examples]
    rows = torch.cat([F.pad(code, (0, 1), value=1.0) for code in codes])
    # [B, side * side * 3, h, w]
    cells = [fold(picture, factors=(side_px, side_px)).permute(0, 2, 3, 1).flatten(0, 2) for _, picture in examples]
    product = torch.zeros(rows.shape[1], cells[0].shape[1])
    for own, pixels in zip(rows.split([len(part) for part in cells]), cells, strict=True):
        product += own.T @ pixels
    spread = rows.T @ rows / len(rows)
    basis = torch.linalg.solve(spread + RIDGE * torch.eye(len(spread)), product / len(rows)).T
    return basis.double(), spread.double()


def set_steps(decoder: Decoder, basis_PC: Tensor, spread_CC: Tensor, side_px: int) -> None:
    """Set all layers but the last to carry the coefficients of ever smaller blocks, each of unit spread."""
    set_point(decoder.conv_in, torch.eye(_num_out(decoder.conv_in), len(spread_CC) - 1))
    steps = [step for level in decoder.up if isinstance(step := getattr(level, "upsample", None), Upsample)]
    for step in steps:
        count = _num_out(step.conv) // (8 if step is steps[-1] else 4)
        parts = quarters(basis_PC, side_px=side_px)
        root = torch.linalg.cholesky(spread_CC + 1e-9 * torch.eye(len(spread_CC)))
        directions = components(torch.cat([part @ root for part in parts], dim=1), count=count)
        maps = torch.stack([directions.T @ part for part in parts])
        spread = (maps @ spread_CC @ maps.mT).mean(0)
        scale = spread.diagonal().clamp_min(1e-9).sqrt()
        maps, bias = maps / scale[:, None], torch.zeros(4, count)
        basis_PC, spread_CC, side_px = directions * scale, spread / scale[:, None] / scale, side_px // 2
        if step is steps[0]:
            # The constant is no channel: its column is the bias.
            maps, bias = maps[:, :, :-1], maps[:, :, -1]
        if step is steps[-1]:
            constants = CONSTANT * torch.tensor(CHESSBOARD)[:, None].expand_as(bias)
            maps = torch.stack([maps, torch.zeros_like(maps)], dim=2).flatten(1, 2)
            bias = torch.stack([bias, constants], dim=2)
        set_point(step.conv, maps.flatten(0, 1), bias.flatten())
    decoder.norm_out.weight[::2] = SIGNAL_GAIN
    decoder.norm_out.bias[::2] = OPERATING_POINT


def quarters(block_P_columns: Tensor, *, side_px: int) -> list[Tensor]:
    """Cut blocks [side * side * 3, columns] into four, row by row, each [side/2 * side/2 * 3, columns]."""
    half = side_px // 2
    grid = block_P_columns.view(2, half, 2, half, 3, -1).permute(0, 2, 1, 3, 4, 5)
    return list(grid.reshape(4, half * half * 3, -1))


def components(factors_P_columns: Tensor, *, count: int) -> Tensor:
    """The `count` directions that hold most of the columns' energy, [P, count]."""
    return torch.linalg.svd(factors_P_columns, full_matrices=False).U[:, :count]


def set_point(layer: nn.Module, matrix: Tensor, bias: Tensor | None = None) -> None:
    """Make a convolution and the shortcut around it compute `matrix @ x + bias` at every point.

    Channels beyond the matrix's columns carry nothing yet; their random weights stay, so that they can learn.
    """
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    num_columns = matrix.shape[1]
    shortcut = match_channels(torch.eye(layer.in_channels)[None], layer.out_channels)[0]
    layer.weight[:, :num_columns] = 0
    layer.weight[:, :num_columns, 1, 1] = matrix.float() - shortcut[:, :num_columns]
    layer.bias.copy_(torch.zeros(layer.out_channels) if bias is None else bias)


def _num_out(layer: nn.Module) -> int:
    assert isinstance(layer, nn.Conv2d)
    return layer.out_channels


def fit_output(vae: Vae, examples: Examples) -> None:
    """Set the last convolution to the one that draws the examples with the least squared error."""
    layer = vae.decoder.conv_out
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    inputs: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, values: inputs.append(values[0]))
    num_inputs = 9 * layer.in_channels + 1
    gram_DD, product_DP = torch.zeros(num_inputs, num_inputs), torch.zeros(num_inputs, layer.out_channels)
    for code, picture in examples:
        vae.decode_unscaled(code)
        rows = F.pad(F.unfold(inputs.pop(), 3, padding=1).transpose(1, 2).flatten(0, 1), (0, 1), value=1.0)
        blocks = fold(picture, factors=(vae.config.output_patch_size,) * 2)
        gram_DD += rows.T @ rows
        product_DP += rows.T @ blocks.permute(0, 2, 3, 1).flatten(0, 2)
    hook.remove()
    gram_DD += OUTPUT_RIDGE * torch.diag(gram_DD.diagonal())
    solution_PD = torch.linalg.solve(gram_DD, product_DP).T
    layer.weight.copy_(solution_PD[:, :-1].unflatten(1, (layer.in_channels, 3, 3)))
    layer.bias.copy_(solution_PD[:, -1])
