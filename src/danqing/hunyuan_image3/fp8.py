"""Numbers in fp8 and their products.

Every row of a weight and every token has a scale of its own. Products multiply fp8 by fp8, sum in float32 and return
bfloat16.
Letters: T tokens, E experts, R rows sorted by expert, I inputs, N outputs.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

FP8 = torch.float8_e4m3fn
# What the largest magnitude of a row becomes.
LARGEST = torch.finfo(FP8).max


class Quantised(NamedTuple):
    """`values` [..., I] in fp8, times `scale` [...] in float32."""

    values: Tensor
    scale: Tensor

    def rows(self, index_R: Tensor) -> "Quantised":
        """The rows at `index_R`."""
        # Eight numbers at a time: a GPU moves single bytes slowly.
        values = self.values.view(torch.int64).index_select(0, index_R).view(FP8)
        return Quantised(values, self.scale.index_select(0, index_R))


def quantise(x: Tensor) -> Quantised:
    """Round each row (last axis) to fp8."""
    # The norm reads bfloat16 once and writes nothing but the result.
    largest = torch.linalg.vector_norm(x, ord=float("inf"), dim=-1, dtype=torch.float32)
    # In the type of `x`, so that nothing is ever widened: fp8 is far coarser. A row of zeros stays finite.
    factor = (LARGEST / largest.clamp(min=1e-30)).to(x.dtype)
    return Quantised((x * factor[..., None]).to(FP8), factor.float().reciprocal())


def product(x: Quantised, weight: Quantised, *, out: Tensor | None = None) -> Tensor:
    """x @ weight^T: [T, I] and [N, I] -> bfloat16 [T, N]."""
    scales = x.scale[:, None], weight.scale[None]
    return torch._scaled_mm(x.values, weight.values.T, *scales, out_dtype=torch.bfloat16, use_fast_accum=True, out=out)


def grouped_product(x: Quantised, weight: Quantised, ends_E: Tensor) -> Tensor:
    """Every expert's product with its own rows, in one kernel that reads `ends_E` on the GPU; [R, N]."""
    return torch._scaled_grouped_mm(
        x.values,
        weight.values.transpose(1, 2),
        x.scale,
        weight.scale,
        offs=ends_E,
        out_dtype=torch.bfloat16,
        use_fast_accum=True,
    )


def looped_product(x: Quantised, weight: Quantised, ends_E: Tensor) -> Tensor:
    """The same, one product after the other."""
    out = x.values.new_empty(len(x.values), weight.values.shape[1], dtype=torch.bfloat16)
    start = 0
    for e, end in enumerate(ends_E.tolist()):
        if end > start:
            rows = slice(start, end)
            expert = Quantised(weight.values[e], weight.scale[e])
            product(Quantised(x.values[rows], x.scale[rows]), expert, out=out[rows])
        start = end
    return out


def expert_products(device: torch.device) -> Callable[[Quantised, Quantised, Tensor], Tensor]:
    """The faster way the device has: PyTorch's grouped kernel wants compute capability 9.0 exactly."""
    grouped = device.type == "cuda" and torch.cuda.get_device_capability(device) == (9, 0)
    return grouped_product if grouped else looped_product
