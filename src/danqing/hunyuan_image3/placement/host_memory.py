"""Host memory that a GPU copies from: pinned, and no larger than asked for.

Not yet run on a GPU.
"""

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

# PyTorch rounds pinned memory up to a power of two, which makes a third more of a layer in int4; larger blocks than
# this many MB are left as they are.
ROUNDED_MB = 1
ROUNDING_SETTING = "pinned_max_round_threshold_mb"


def empty(shape: Sequence[int], dtype: torch.dtype, *, pinned: bool) -> Tensor:
    """Unset numbers in host memory."""
    if pinned:
        _limit_rounding()
    return torch.empty(shape, dtype=dtype, pin_memory=pinned)


@cache
def _limit_rounding() -> None:
    torch._C._accelerator_setAllocatorSettings(f"{ROUNDING_SETTING}:{ROUNDED_MB}")
