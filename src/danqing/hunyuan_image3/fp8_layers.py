"""Experts with their weights in fp8, in place of `Experts`.

Letters: T tokens, E experts, K experts per token, R rows sorted by expert, D hidden size.
"""

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.moe import Experts, gated
from danqing.hunyuan_image3.quantisation import FP8, Quantised, expert_products, quantise

# Experts begin at multiples of this: kernels read scales 16 bytes at a time, or more.
GROUP_ROWS = 16


class Fp8Experts(nn.Module):
    """All experts of a layer, stacked; takes the place of `Experts`."""

    def __init__(self, num_experts: int, hidden_size: int, width: int) -> None:
        super().__init__()
        self.gate_and_up_proj = _fp8_parameter(num_experts, 2 * width, hidden_size)
        self.down_proj = _fp8_parameter(num_experts, hidden_size, width)
        self.gate_and_up_proj_scale: Tensor
        self.down_proj_scale: Tensor
        self.register_buffer("gate_and_up_proj_scale", torch.empty(num_experts, 2 * width))
        self.register_buffer("down_proj_scale", torch.empty(num_experts, hidden_size))

    def forward(self, x_TD: Tensor, weight_TK: Tensor, expert_TK: Tensor) -> Tensor:
        """The weighted sum of each token's experts, [T, D]."""
        multiply = expert_products(x_TD.device)
        row_TK, ends_E, token_R = group(expert_TK, num_experts=len(self.down_proj))
        tokens = quantise(x_TD).rows(token_R)
        hidden = multiply(tokens, Quantised(self.gate_and_up_proj, self.gate_and_up_proj_scale), ends_E)
        out = multiply(quantise(gated(hidden)), Quantised(self.down_proj, self.down_proj_scale), ends_E)
        out_TKD = out.index_select(0, row_TK.flatten()).unflatten(0, row_TK.shape)
        return torch.bmm(weight_TK[:, None, :].to(out_TKD.dtype), out_TKD)[:, 0]


def group(expert_TK: Tensor, *, num_experts: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where each token's experts put their outputs, where each expert's rows end, and which token each row holds.

    Rows are sorted by expert, and each expert's stretch is filled up to a multiple of `GROUP_ROWS`. How many there
    are in all depends on shapes alone, so that a GPU never waits for the CPU; what follows the last end is unused.
    """
    num_chosen, device = expert_TK.numel(), expert_TK.device
    expert_R, order = expert_TK.flatten().sort(stable=True)
    ends_E = torch.searchsorted(expert_R, torch.arange(num_experts, device=device), right=True)
    counts_E = ends_E.diff(prepend=ends_E.new_zeros(1))
    padded_E = (counts_E + GROUP_ROWS - 1) // GROUP_ROWS * GROUP_ROWS
    padded_ends_E = padded_E.cumsum(0)
    # How far an expert's rows move back for those filled in before it.
    shift_E = (padded_ends_E - padded_E) - (ends_E - counts_E)
    row = torch.arange(num_chosen, device=device) + shift_E.index_select(0, expert_R)
    num_rows = num_chosen + min(num_experts, num_chosen) * (GROUP_ROWS - 1)
    token_R = order.new_zeros(num_rows).scatter_(0, row, order // expert_TK.shape[1])
    row_TK = torch.empty_like(order).scatter_(0, order, row).view_as(expert_TK)
    return row_TK, padded_ends_E.int(), token_R


def make_fp8(network: nn.Module) -> None:
    """Replace the experts inside `network` by unset ones in fp8; everything else stays."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Experts):
                num_experts, hidden_size, width = child.down_proj.shape
                module.register_module(name, Fp8Experts(num_experts, hidden_size, width))


def _fp8_parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=FP8), requires_grad=False)
