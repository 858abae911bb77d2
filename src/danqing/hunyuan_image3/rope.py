"""Rotary positions in two dimensions: text walks the diagonal, an image spreads over a grid around it.

Letters: T tokens, d head size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rotation:
    """Cosines and sines for a run of tokens, float32 [T, d], or [B, T, d] where branches differ."""

    cos_Td: Tensor
    sin_Td: Tensor

    def to(self, device: torch.device) -> "Rotation":
        """The same on a device."""
        return Rotation(self.cos_Td.to(device), self.sin_Td.to(device))

    @classmethod
    def stack(cls, rotations: Sequence["Rotation"]) -> "Rotation":
        """One rotation per branch, [B, T, d]."""
        return cls(torch.stack([r.cos_Td for r in rotations]), torch.stack([r.sin_Td for r in rotations]))


def text_positions(start: int, end: int) -> Tensor:
    """(y, x) = (i, i) for i in start..end-1, float32 [T, 2]."""
    return torch.arange(start, end, dtype=torch.float32)[:, None].expand(-1, 2)


def image_positions(start: int, *, height: int, width: int) -> Tensor:
    """(y, x) of a token grid, row by row, whose first token stands at index `start` of the sequence; [h*w, 2].

    The grid is centred on the stretch of the diagonal that its tokens occupy.
    """
    y = (start + (height * width - height) / 2 + torch.arange(height, dtype=torch.float32)).floor()
    x = (start + (height * width - width) / 2 + torch.arange(width, dtype=torch.float32)).floor()
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).reshape(-1, 2)


def rotation(positions_T2: Tensor, *, head_size: int, base: float) -> Rotation:
    """Even frequencies turn with y, odd ones with x; the angles are repeated twice for the rotate-half convention."""
    k = torch.arange(head_size // 2, dtype=torch.float32)
    theta = base ** (-2 * k / head_size)
    angles = positions_T2[:, (torch.arange(head_size // 2) % 2)] * theta
    angles = torch.cat([angles, angles], dim=-1)
    return Rotation(angles.cos(), angles.sin())


def rotate(x_THd: Tensor, rotation: Rotation) -> Tensor:
    """Turn every head's vector by its token's angles, in float32; returns the input's type. Leading axes broadcast."""
    x = x_THd.float()
    low, high = x.chunk(2, dim=-1)
    turned = torch.cat([-high, low], dim=-1)
    out = x * rotation.cos_Td[..., None, :] + turned * rotation.sin_Td[..., None, :]
    return out.to(x_THd.dtype)
