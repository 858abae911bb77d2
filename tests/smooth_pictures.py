"""Pictures that are linear in their codes, for the tests of decoders that start linear."""

import torch
from torch import Tensor

from danqing.hunyuan_image3.vae import unfold
from mini.train.recipe import PIXELS_PER_TOKEN

CHANNELS = 32


def smooth_basis(side_px: int) -> Tensor:
    """Blocks [P, C] of slow waves, as most of a picture is, each with its own strength."""
    at = (torch.arange(side_px) + 0.5) / side_px
    waves = torch.stack([torch.cos(torch.pi * k * at) for k in range(4)])
    grids = torch.einsum("ih,jw->ijhw", waves, waves).flatten(0, 1)[:11]
    strength = 0.3 * 0.7 ** torch.arange(11.0)
    columns = [(strength[k] * grids[k])[:, :, None] * (torch.arange(3) == c) for k in range(11) for c in range(3)]
    return torch.stack(columns[:CHANNELS], dim=-1).flatten(0, 2)


def smooth_examples(seed: int, *, side_px: int = PIXELS_PER_TOKEN) -> list[tuple[Tensor, Tensor]]:
    """Pictures that are linear in their codes, around a grey that is not zero; some much stronger than others."""
    generator = torch.Generator().manual_seed(seed)
    codes = [torch.randn(4, CHANNELS, 6, 4, generator=generator) * strength for strength in (0.5, 1.0, 1.5)]
    blocks = [torch.einsum("pc,bchw->bphw", smooth_basis(side_px), code) + 0.1 for code in codes]
    return [(code, unfold(block, factors=(side_px, side_px))) for code, block in zip(codes, blocks, strict=True)]
