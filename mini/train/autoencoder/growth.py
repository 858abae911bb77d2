"""The start of an autoencoder with one level more than a finished one, for pictures of twice the sides.

The levels that both have keep their weights. What is new, beside the pixels, starts linear: the decoder draws what the
finished one draws, enlarged, and the encoder reads what the finished one reads, reduced.

Letters: B pictures, C channels, D inputs of a convolution (channels * 3 * 3, and a constant), P pixels of a quarter, N
points.
"""

import contextlib
import re
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from danqing.hunyuan_image3.vae import Decoder, Downsample, Encoder, ResidualBlock, Upsample, Vae, fold, match_channels
from mini.train.autoencoder.linear_start import (
    CHESSBOARD,
    OPERATING_POINT,
    Examples,
    components,
    fit_output,
    quarters,
    silence,
)

RIDGE = 3e-5
# Beside a large constant the spread of a group hardly depends on the picture: the start is nearer to the finished one.
CONSTANT, SIGNAL_GAIN = 16.0, 10.0
# The new level's residual block sees coefficients rather than constants.
BLOCK_SIGNAL_GAIN, BLOCK_CONSTANT_GAIN = 10.0, 0.5


@torch.no_grad()
def grow(vae: Vae, finished: Vae, examples: Examples) -> None:
    """Take over the finished weights and start what is new, from codes and their pictures at the new size.

    Raises ValueError unless `finished` has one level less.
    """
    taken = {_new_place(name): value for name, value in finished.state_dict().items() if not _beside_pixels(name)}
    if not taken.keys() < vae.state_dict().keys():
        raise ValueError("The finished autoencoder must have one level less.")
    vae.load_state_dict(taken, strict=False)
    enlarged = [F.interpolate(finished.decode_unscaled(code), scale_factor=2, mode="bicubic") for code, _ in examples]
    start_decoder(vae, [(code, picture) for (code, _), picture in zip(examples, enlarged, strict=True)])
    start_encoder(vae.encoder, finished.encoder, [picture for _, picture in examples])


def lower_names(decoder: Decoder) -> list[str]:
    """The names of all weights before the last level and the step to it."""
    last = len(decoder.up) - 1
    above = (f"up.{last - 1}.upsample.", f"up.{last}.", "norm_out.", "conv_out.")
    return [name for name in decoder.state_dict() if not name.startswith(above)]


def last_convolutions(decoder: Decoder) -> list[nn.Conv2d]:
    """Those of the last level, the step to it and the output."""
    block = last_block(decoder)
    layers = [last_step(decoder).conv, block.conv1, block.conv2, decoder.conv_out]
    return [layer for layer in layers if isinstance(layer, nn.Conv2d)]


def last_step(decoder: Decoder) -> Upsample:
    """The step that writes the last level."""
    step = decoder.up[-2].upsample
    assert isinstance(step, Upsample)
    return step


def last_block(decoder: Decoder) -> ResidualBlock:
    """The last level's residual block."""
    return next(module for module in decoder.up[-1].modules() if isinstance(module, ResidualBlock))


def start_decoder(vae: Vae, examples: Examples) -> None:
    """Set what is new to draw the examples as well as it can without its residual block."""
    decoder, side_px = vae.decoder, 2 * vae.config.output_patch_size
    step, block = last_step(decoder), last_block(decoder)
    silence(block.conv2)
    inputs = inputs_of(step.conv, vae.decode_unscaled, [code for code, _ in examples])
    squares = [points(fold(picture, factors=(side_px, side_px))) for _, picture in examples]
    solution_PD, spread_DD = fitted(inputs, squares)
    parts_4PD = torch.stack(quarters(solution_PD, side_px=side_px))
    _set_step(step, parts_4PD, spread_DD)
    for norm, constants, signals in (
        (block.norm1, BLOCK_CONSTANT_GAIN, BLOCK_SIGNAL_GAIN),
        (decoder.norm_out, 1.0, SIGNAL_GAIN),
    ):
        norm.weight[::2], norm.weight[1::2] = signals, constants
    decoder.norm_out.bias[::2] = OPERATING_POINT
    fit_output(vae, examples)


def _set_step(step: Upsample, parts_4PD: Tensor, spread_DD: Tensor) -> None:
    """Write the quarters' strongest coefficients, each of unit spread, and beside each the constant."""
    layer = step.conv
    assert isinstance(layer, nn.Conv2d)
    root_DD = torch.linalg.cholesky(spread_DD)
    columns = torch.cat([part @ root_DD for part in parts_4PD], dim=1)
    maps_4CD = components(columns, count=layer.out_channels // 8).T @ parts_4PD
    scale_C = (maps_4CD @ spread_DD @ maps_4CD.mT).mean(0).diagonal().clamp_min(1e-9).sqrt()
    maps_4CD = maps_4CD / scale_C[:, None]
    constants_4CD = torch.zeros_like(maps_4CD)
    constants_4CD[:, :, -1] = CONSTANT * torch.tensor(CHESSBOARD)[:, None]
    set_solution(layer, torch.stack([maps_4CD, constants_4CD], dim=2).flatten(0, 2))
    shortcut = match_channels(torch.eye(layer.in_channels)[None], layer.out_channels)[0]
    layer.weight[..., 1, 1] -= shortcut


def start_encoder(encoder: Encoder, finished: Encoder, pictures: Sequence[Tensor]) -> None:
    """Set what is new to pass on each patch's strongest components, and the next level to make of them what the
    finished one makes of pictures of half the sides."""
    first, second, old = (_convolution(level) for level in (encoder.down[0], encoder.down[1], finished.down[0]))
    layer = encoder.conv_in
    assert isinstance(layer, nn.Conv2d)
    patch = int((layer.in_channels / 3) ** 0.5)
    folded = [fold(picture, factors=(patch, patch)) for picture in pictures]
    patches_NP = torch.cat([points(each) for each in folded])
    directions_PC = torch.linalg.eigh(patches_NP.T @ patches_NP).eigenvectors.flip(1)[:, : layer.out_channels]
    silence(layer)
    layer.weight[..., 1, 1] = directions_PC.T
    # The way around the step is a mean of four channels: take it off.
    silence(first)
    first.weight[..., 1, 1] = torch.eye(*first.weight.shape[:2]) - _mean_of_channels(first)
    inputs = inputs_of(second, encoder, folded)
    halves = [fold(F.avg_pool2d(picture, 2), factors=(patch, patch)) for picture in pictures]
    targets = []
    for half, rows in zip(halves, inputs, strict=True):
        x = finished.conv_in(half)
        around = rows[:, :-1].unflatten(1, (-1, 9))[..., 4] @ _mean_of_channels(second).T
        targets.append(points(old(x)) + points(x) @ _mean_of_channels(old).T - around)
    set_solution(second, fitted(inputs, targets)[0])


class _Reached(Exception):
    """What a layer gets is known; the rest of the network need not run."""


def inputs_of(layer: nn.Module, run: Callable[[Tensor], Tensor], batches: Sequence[Tensor]) -> list[Tensor]:
    """What a convolution gets at every point while a network runs, and a constant, [N, D] for each batch."""
    seen: list[Tensor] = []

    def see(_: nn.Module, values: tuple[Tensor]) -> None:
        seen.append(values[0])
        raise _Reached

    hook = layer.register_forward_pre_hook(see)
    for batch in batches:
        with contextlib.suppress(_Reached):
            run(batch)
    hook.remove()
    return [F.pad(F.unfold(x, 3, padding=1).transpose(1, 2).flatten(0, 1), (0, 1), value=1.0) for x in seen]


def fitted(inputs: Sequence[Tensor], targets: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The least-squares map from inputs [N, D] to targets, [targets, D], and the inputs' mean product [D, D]."""
    num_rows = sum(len(rows) for rows in inputs)
    spread_DD = sum((rows.T @ rows for rows in inputs), torch.zeros(())) / num_rows
    product = sum((rows.T @ wanted for rows, wanted in zip(inputs, targets, strict=True)), torch.zeros(())) / num_rows
    spread_DD = spread_DD.double()
    spread_DD += RIDGE * torch.diag(spread_DD.diagonal())
    return torch.linalg.solve(spread_DD, product.double()).T.float(), spread_DD.float()


def points(x: Tensor) -> Tensor:
    """[B, C, h, w] to one row a point."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def solution_of(layer: nn.Conv2d) -> Tensor:
    """What a convolution multiplies its inputs and the constant by, [C, D]."""
    assert layer.bias is not None
    return torch.cat([layer.weight.flatten(1), layer.bias[:, None]], dim=1)


def set_solution(layer: nn.Conv2d, solution_CD: Tensor) -> None:
    """Make the convolution multiply by this."""
    assert layer.bias is not None
    layer.weight.copy_(solution_CD[:, :-1].unflatten(1, (layer.in_channels, 3, 3)))
    layer.bias.copy_(solution_CD[:, -1])


def _mean_of_channels(layer: nn.Conv2d) -> Tensor:
    """The way around a step down at one of its four points, [out, in]."""
    return match_channels(torch.eye(layer.in_channels)[None], layer.out_channels)[0]


def _convolution(level: nn.Module) -> nn.Conv2d:
    step = level.downsample
    assert isinstance(step, Downsample)
    assert isinstance(step.conv, nn.Conv2d)
    return step.conv


def _new_place(name: str) -> str:
    """The encoder's new level is its first, the decoder's its last."""
    return re.sub(r"(?<=encoder\.down\.)\d+", lambda level: str(int(level[0]) + 1), name)


def _beside_pixels(name: str) -> bool:
    return name.startswith(("encoder.conv_in.", "decoder.norm_out.", "decoder.conv_out."))
