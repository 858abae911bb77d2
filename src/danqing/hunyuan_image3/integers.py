"""Weights in int8 and int4: rounding them once, and widening them back.

int8 has one scale per row. int4 has sixteen levels that lie closer together near zero, where most weights are, and one
scale and one offset per group of neighbouring inputs. Two int4 numbers share a byte, the first in the low half.
Letters: N outputs, I inputs, G groups of inputs, S inputs per group.
"""

from functools import cache, reduce

import torch
from torch import Tensor

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.quantization_config import INT4_LEVELS, MAX_GROUP_SIZE

INT8_LARGEST = 127
# How far apart the outermost levels are at first, of what a group spans; the better one of each group is kept.
FIRST_SPANS = (0.9, 1.0)
# Steps between -1 and 1 in the table that finds the nearest level.
NUM_CELLS = 256
SMALLEST = 1e-30
CHUNK_NUMBERS = 2**17


def group_size(num_inputs: int) -> int:
    """How many inputs share a scale: the largest even number up to MAX_GROUP_SIZE that divides all of them."""
    if num_inputs % 2:
        raise CheckpointError(f"config.json: int4 holds weights in pairs, and {num_inputs} inputs of an expert are odd")
    return next(size for size in range(MAX_GROUP_SIZE, 0, -2) if num_inputs % size == 0)


def round_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """float32 [N, I] -> int8 [N, I] and the float32 scales of its rows [N]."""
    scale = weight.abs().amax(-1).clamp(min=SMALLEST) / INT8_LARGEST
    return (weight / scale[:, None]).round_().to(torch.int8), scale


def widen_int8(numbers: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """int8 [..., N, I] and scales [..., N] -> [..., N, I] in `dtype`."""
    return numbers.to(dtype).mul_(scale[..., None])


def round_int4(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """float32 [N, I] -> pairs uint8 [N, I / 2], scales and offsets bfloat16 [N, G]."""
    # A few rows at a time: their intermediate results stay in the processor's cache.
    chunks = [_round_rows(rows) for rows in weight.split(max(1, CHUNK_NUMBERS // weight.shape[1]))]
    pairs, scale, offset = (torch.cat(parts) for parts in zip(*chunks, strict=True))
    return pairs, scale, offset


def widen_int4(pairs: Tensor, scale: Tensor, offset: Tensor, dtype: torch.dtype) -> Tensor:
    """Pairs [..., N, I / 2], scales and offsets [..., N, G] -> [..., N, I] in `dtype`."""
    # A byte's two levels are looked up as one number of twice the width: several times as fast as shifts and masks.
    table = _pair_table(dtype, pairs.device)
    levels = table.index_select(0, pairs.int().flatten()).view(dtype).view(*scale.shape, -1)
    wide = torch.addcmul(offset.to(dtype)[..., None], levels, scale.to(dtype)[..., None], out=levels)
    return wide.view(*pairs.shape[:-1], -1)


def _round_rows(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    num_outputs, num_inputs = weight.shape
    groups_NGS = weight.view(num_outputs, -1, group_size(num_inputs))
    low, high = groups_NGS.aminmax(dim=-1, keepdim=True)
    tries = []
    for span in FIRST_SPANS:
        first = _Int4.of(groups_NGS, scale=(high - low) * (span / 2), offset=(low + high) / 2)
        tries += [first, first.refitted(groups_NGS)]
    best = reduce(_Int4.or_better, tries)
    pairs = best.numbers.view(num_outputs, -1, 2)
    return pairs[..., 0] | pairs[..., 1] << 4, best.scale[..., 0].bfloat16(), best.offset[..., 0].bfloat16()


class _Int4:
    """One way to round groups [N, G, S]: numbers of that shape, and scale, offset and squared error [N, G, 1]."""

    def __init__(self, numbers: Tensor, scale: Tensor, offset: Tensor, error: Tensor) -> None:
        self.numbers, self.scale, self.offset, self.error = numbers, scale, offset, error

    @classmethod
    def of(cls, groups_NGS: Tensor, *, scale: Tensor, offset: Tensor) -> "_Int4":
        """The nearest numbers for this scale and offset, which are rounded to bfloat16 as they are stored."""
        scale = scale.clamp(min=SMALLEST).bfloat16().float()
        offset = offset.bfloat16().float()
        cells = ((groups_NGS - offset) / scale).add_(1).mul_(NUM_CELLS / 2).clamp_(0, NUM_CELLS - 1)
        numbers = _nearest_numbers(groups_NGS.device).index_select(0, cells.int().flatten()).view_as(groups_NGS)
        error = (_levels(numbers) * scale + offset - groups_NGS).square_().sum(-1, keepdim=True)
        return cls(numbers, scale, offset, error)

    def refitted(self, groups_NGS: Tensor) -> "_Int4":
        """The same numbers' scale and offset of least squared error, and the nearest numbers for those."""
        levels = _levels(self.numbers)
        level_mean, mean = levels.mean(-1, keepdim=True), groups_NGS.mean(-1, keepdim=True)
        covariance = (levels * groups_NGS).mean(-1, keepdim=True) - level_mean * mean
        variance = levels.square().mean(-1, keepdim=True) - level_mean.square()
        scale = covariance / variance.clamp(min=SMALLEST)
        # A group of one value has no slope to fit.
        scale = torch.where(scale > 0, scale, self.scale)
        return _Int4.of(groups_NGS, scale=scale, offset=mean - scale * level_mean)

    def or_better(self, other: "_Int4") -> "_Int4":
        """Of each group the one with the smaller error."""
        other_wins = other.error < self.error
        names = ("numbers", "scale", "offset", "error")
        return _Int4(*(torch.where(other_wins, getattr(other, name), getattr(self, name)) for name in names))


def _levels(numbers: Tensor) -> Tensor:
    return _level_table(numbers.device).index_select(0, numbers.flatten().int()).view_as(numbers)


@cache
def _level_table(device: torch.device) -> Tensor:
    return torch.tensor(INT4_LEVELS, device=device)


@cache
def _nearest_numbers(device: torch.device) -> Tensor:
    """The number of the level nearest to the middle of each of NUM_CELLS between -1 and 1, uint8."""
    levels = torch.tensor(INT4_LEVELS)
    middles = (torch.arange(NUM_CELLS) + 0.5) / (NUM_CELLS / 2) - 1
    return torch.bucketize(middles, (levels[1:] + levels[:-1]) / 2).to(device, torch.uint8)


@cache
def _pair_table(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The two levels of every byte, as one integer of twice the width of `dtype`; [256]."""
    levels, byte = torch.tensor(INT4_LEVELS, dtype=dtype), torch.arange(256)
    both = torch.stack([levels[byte & 15], levels[byte >> 4]], dim=-1)
    return both.view(torch.int64 if dtype == torch.float32 else torch.int32).flatten().to(device)
