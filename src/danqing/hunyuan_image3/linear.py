"""Matrix products x @ weight^T by the fastest kernel at hand, with the same result for any number of threads.

In float32 on a CPU, PyTorch's own product goes to a BLAS that on some processors reaches half the speed of oneDNN,
which PyTorch brings along too; measured by benchmarks/denoise.py. Pointwise convolutions are such products as well:
oneDNN's own kernel for them sums in an order that depends on the number of threads.

Letters: B pictures, I input and O output channels, S points of the grid.
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


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution of size 1, [B, I, ...] -> [B, O, ...]."""
    assert bias is not None
    out_BSO = linear(x.flatten(2).transpose(1, 2), weight.flatten(1)) + bias
    # Contiguous: the kernels of the layers that follow are chosen by the order of axes in memory.
    return out_BSO.transpose(1, 2).contiguous().unflatten(2, x.shape[2:])


class PointwiseConv2d(nn.Conv2d):
    """A convolution of size 1 over two dimensions."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return _pointwise(x, self.weight, self.bias) if x.device.type == "cpu" else super().forward(x)


class PointwiseConv3d(nn.Conv3d):
    """A convolution of size 1 over three dimensions."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return _pointwise(x, self.weight, self.bias) if x.device.type == "cpu" else super().forward(x)
