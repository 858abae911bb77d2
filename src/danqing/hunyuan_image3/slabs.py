"""Convolutions of grids too large to hold many times: computed slab by slab of their height.

At the published size one tensor of the decoder's last level takes 2 GB in float32, and normalising, activating and
convolving it as a whole takes six more of them. Here nothing but the input and the output is held whole.

Letters: B images, C channels, H grid height; the last two axes of every tensor are height and width.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Smaller tensors are computed whole.
SLAB_BYTES = 128 << 20
HEIGHT = -2
# A multiple of all vector lengths, and below the 32,768 from which PyTorch divides work among threads.
PIECE_SIZE = 32_704


def convolve(conv: nn.Module, x: Tensor, *, norm: nn.GroupNorm | None = None) -> Tensor:
    """`conv`, 3 wide, of x, or of SiLU of the normalised x."""
    if not _is_large(x):
        return _whole(conv, x, norm)
    out = x.new_empty((len(x), conv.out_channels, *x.shape[2:]))  # type: ignore[arg-type]
    for start, stop, part in _convolved_slabs(conv, x, norm):
        out[..., start:stop, :] = part
    return out


def add_convolved(onto: Tensor, conv: nn.Module, x: Tensor, *, norm: nn.GroupNorm) -> Tensor:
    """`onto` plus `convolve(conv, x, norm=norm)`; where x is large, `onto` itself is overwritten."""
    if not _is_large(x):
        return onto + _whole(conv, x, norm)
    for start, stop, part in _convolved_slabs(conv, x, norm):
        onto[..., start:stop, :] += part
    return onto


def convolved_slabs(conv: nn.Module, x: Tensor) -> Iterator[tuple[int, int, Tensor]]:
    """Rows from, rows to, and `convolve(conv, x)` there; one slab of all rows unless x is large."""
    if _is_large(x):
        yield from _convolved_slabs(conv, x, None)
    else:
        yield 0, x.shape[HEIGHT], conv(x)


def _is_large(x: Tensor) -> bool:
    # Gradients need what slabs let go of.
    return x.nbytes > SLAB_BYTES and not torch.is_grad_enabled()


def _whole(conv: nn.Module, x: Tensor, norm: nn.GroupNorm | None) -> Tensor:
    out: Tensor = conv(x if norm is None else _silu(norm(x)))
    return out


def _silu(x: Tensor) -> Tensor:
    """SiLU with the same bits on any number of threads; overwrites x where no gradients are wanted.

    PyTorch's vector code and its scalar code for the rest differ in the last bit. Pieces that one thread computes leave
    no rest but at the very end.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu" or not x.is_contiguous():
        return F.silu(x)
    for piece in x.view(-1).split(PIECE_SIZE):
        F.silu(piece, inplace=True)
    return x


def _convolved_slabs(conv: nn.Module, x: Tensor, norm: nn.GroupNorm | None) -> Iterator[tuple[int, int, Tensor]]:
    height = x.shape[HEIGHT]
    num_rows = max(1, height * SLAB_BYTES // x.nbytes)
    scale_shift = None if norm is None else _scale_and_shift(norm, x)
    product = F.conv3d if x.ndim == 5 else F.conv2d
    # Rows beside a slab come from its neighbours, or are zero at the edge.
    padding = (1,) * (x.ndim - 4) + (0, 1)
    for start in range(0, height, num_rows):
        stop = min(start + num_rows, height)
        slab = x[..., max(0, start - 1) : stop + 1, :]
        if scale_shift is not None:
            scale, shift = scale_shift
            slab = F.silu((slab.float() * scale).add_(shift), inplace=True).to(x.dtype)
        edges = (int(start == 0), int(stop == height))
        slab = F.pad(slab, (0, 0, *edges))
        yield start, stop, product(slab, conv.weight, conv.bias, padding=padding)  # type: ignore[arg-type]


def _scale_and_shift(norm: nn.GroupNorm, x: Tensor) -> tuple[Tensor, Tensor]:
    """What normalisation multiplies by and adds, [B, C, 1, ...], float32."""
    groups = x.view(len(x), norm.num_groups, -1)
    # One group at a time: float32 of all of them would be another tensor of x's size, or twice that.
    moments = [torch.var_mean(group.float(), dim=-1, correction=0) for group in groups.unbind(1)]
    num_channels = norm.num_channels // norm.num_groups
    var, mean = (torch.stack(each, dim=1).repeat_interleave(num_channels, dim=1) for each in zip(*moments, strict=True))
    scale = norm.weight.float() * (var + norm.eps).rsqrt()
    shift = norm.bias.float() - mean * scale
    ones = (1,) * (x.ndim - 2)
    return scale.view(*scale.shape, *ones), shift.view(*shift.shape, *ones)
