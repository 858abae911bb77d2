"""Experts with their weights in fp8, in place of `Experts`."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.experts import GROUP_ROWS, RoutedExperts, gated, group, weighted_sum
from danqing.hunyuan_image3.fp8 import FP8, Quantised, expert_products, quantise
from danqing.hunyuan_image3.fusion import Region, fusible


class Fp8Experts(RoutedExperts):
    """Fp8 numbers [E, N, I] and `_scale` [E, N], float32; products multiply fp8 by fp8."""

    def __init__(self, num_experts: int, hidden_size: int, width: int) -> None:
        super().__init__()
        self.gate_and_up_proj = _fp8_parameter(num_experts, 2 * width, hidden_size)
        self.down_proj = _fp8_parameter(num_experts, hidden_size, width)
        self.gate_and_up_proj_scale: Tensor
        self.down_proj_scale: Tensor
        self.register_buffer("gate_and_up_proj_scale", torch.empty(num_experts, 2 * width))
        self.register_buffer("down_proj_scale", torch.empty(num_experts, hidden_size))

    @staticmethod
    def rounded(weight: Tensor) -> Mapping[str, Tensor]:
        """The matrix in fp8 with a scale a row."""
        values, scale = quantise(weight.float())
        return {"": values, "_scale": scale}

    def widened(self, matrix: str, experts: int | slice, outputs: slice, dtype: torch.dtype) -> Tensor:
        """Each row times its scale."""
        values, scale = getattr(self, matrix)[experts, outputs], getattr(self, f"{matrix}_scale")[experts, outputs]
        return (values.float() * scale[..., None]).to(dtype)

    def forward(self, x_TD: Tensor, weight_TK: Tensor, expert_TK: Tensor) -> Tensor:
        """The weighted sum of each token's experts, [T, D]."""
        multiply = expert_products(x_TD.device)
        row_TK, ends_E, token_R = group(expert_TK, num_experts=self.num_experts, multiple=GROUP_ROWS)
        hidden = multiply(
            quantised_rows(x_TD, token_R), Quantised(self.gate_and_up_proj, self.gate_and_up_proj_scale), ends_E
        )
        out = multiply(quantised_gated(hidden), Quantised(self.down_proj, self.down_proj_scale), ends_E)
        return weighted_sum(out, row_TK, weight_TK)


@fusible(Region.GATHER)
def quantised_rows(x_TD: Tensor, token_R: Tensor) -> Quantised:
    """The tokens in fp8, each in its experts' rows."""
    return quantise(x_TD).rows(token_R)


@fusible(Region.GATE)
def quantised_gated(gate_and_up_R: Tensor) -> Quantised:
    """Rows that went through the gate, in fp8."""
    return quantise(gated.plain(gate_and_up_R))


def _fp8_parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=FP8), requires_grad=False)
