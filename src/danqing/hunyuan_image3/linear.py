"""Matrix products x @ weight^T by the fastest kernel at hand.

In float32 on a CPU, PyTorch's own product goes to a BLAS that on some processors reaches half the speed of oneDNN,
which PyTorch brings along too; measured by benchmarks/denoise.py.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """The product with `weight` [N, K]: [..., K] -> [..., N]."""
    if (
        x.dtype == torch.float32
        and x.device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and torch.is_inference_mode_enabled()
    ):
        return torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return F.linear(x, weight)


class Linear(nn.Linear):
    """A linear layer without bias."""

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__(num_inputs, num_outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # Held in bfloat16 and used in float32 where a device only emulates bfloat16.
        return linear(x, self.weight.to(x.dtype))
