"""Routed experts: how all experts of a layer are held, and the sum of those that each token visits.

A layer's routed experts are one module, a `RoutedExperts`. The contract between it, weights.py and the code that moves
weights between disk, memory and devices:

- All its numbers are parameters and buffers, each with the expert as first axis, [E, ...], contiguous. One expert is
  therefore `tensor[e]` of each. Whoever holds the module may replace their `.data`, as a whole or expert by expert.
- The two matrices are `gate_and_up_proj` and `down_proj`. What belongs to a matrix beside its numbers is named like it
  with a suffix: `_scale`, and in int4 `_offset`.
- In files, part `gate_and_up_proj_scale` of expert E is `model.layers.N.mlp.experts.E.gate_and_up_proj.weight_scale`,
  and so on: see `stored_name`.
- `forward` reads the parameters and buffers anew at every call and keeps nothing that it computed from them.

Letters: T tokens, E experts, K experts per token, R rows sorted by expert, D hidden size, W expert width.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from danqing.hunyuan_image3.fusion import Region, fusible
from danqing.hunyuan_image3.linear import linear

MATRICES = ("gate_and_up_proj", "down_proj")
# Grouped kernels read experts' rows and scales 16 bytes at a time, or more: there, experts begin at multiples of this.
GROUP_ROWS = 16
# Of a grouped product's weights that are widened before it; all experts of a layer would take 3 GB at once.
WIDENED_BYTES = 512 << 20
# Of one expert's weights that are widened before their product on a CPU, so that they are still in its caches, and in
# blocks that glibc reuses: larger ones get new pages each time, which took half as long as the products.
CACHED_BYTES = 16 << 20


def stored_name(part: str, expert: int) -> tuple[str, str]:
    """Under which name files hold one expert's share of a parameter or buffer: that of its matrix, and a suffix."""
    matrix = next(matrix for matrix in MATRICES if part.startswith(matrix))
    return f"{expert}.{matrix}.weight", part.removeprefix(matrix)


@fusible(Region.GATE)
def gated(gate_and_up: Tensor) -> Tensor:
    """First half times SiLU of the second half."""
    a, b = gate_and_up.chunk(2, dim=-1)
    return a * F.silu(b)


class RoutedExperts(nn.Module, ABC):
    """All routed experts of a layer, stacked; the contract is that of the module's docstring."""

    gate_and_up_proj: Tensor
    down_proj: Tensor

    @staticmethod
    @abstractmethod
    def rounded(weight: Tensor) -> Mapping[str, Tensor]:
        """One matrix [N, I] in this class's form: its parts by their suffixes, "" for the numbers."""

    @abstractmethod
    def widened(self, matrix: str, experts: int | slice, outputs: slice, dtype: torch.dtype) -> Tensor:
        """The numbers that are meant of one expert or a range of them, and of a range of outputs; [..., N, I]."""

    @property
    def num_experts(self) -> int:
        return len(self.down_proj)

    def parts(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter and buffer by its name."""
        yield from self.named_parameters(recurse=False)
        yield from self.named_buffers(recurse=False)

    def forward(self, x_TD: Tensor, weight_TK: Tensor, expert_TK: Tensor) -> Tensor:
        """The weighted sum of each token's experts, [T, D]."""
        grouped = has_grouped_product(x_TD)
        product = self._grouped_product if grouped else self._looped_product
        row_TK, ends_E, token_R = group(expert_TK, num_experts=self.num_experts, multiple=GROUP_ROWS if grouped else 1)
        hidden_R = product("gate_and_up_proj", x_TD.index_select(0, token_R), ends_E)
        return weighted_sum(product("down_proj", gated(hidden_R), ends_E), row_TK, weight_TK)

    def _grouped_product(self, matrix: str, x_R: Tensor, ends_E: Tensor) -> Tensor:
        held = getattr(self, matrix)
        if held.dtype == x_R.dtype:
            return F.grouped_mm(x_R, held.transpose(1, 2), offs=ends_E)
        # Some outputs of all experts at a time: some experts' rows could not be told without waiting for the GPU.
        num_outputs, step = held.shape[1], outputs_at_once(self.num_experts, x_R.shape[1], x_R.dtype)
        out = x_R.new_empty(len(x_R), num_outputs)
        for start in range(0, num_outputs, step):
            outputs = slice(start, start + step)
            # Without a name, so that each piece is gone before the next is made.
            out[:, outputs] = F.grouped_mm(
                x_R, self.widened(matrix, slice(None), outputs, x_R.dtype).transpose(1, 2), offs=ends_E
            )
        return out

    def _looped_product(self, matrix: str, x_R: Tensor, ends_E: Tensor) -> Tensor:
        sizes = ends_E.diff(prepend=ends_E.new_zeros(1)).tolist()
        rows = x_R[: sum(sizes)].split(sizes)
        return torch.cat([self._product(matrix, e, x) for e, x in enumerate(rows) if len(x)])

    def _product(self, matrix: str, e: int, x: Tensor) -> Tensor:
        held = getattr(self, matrix)
        num_outputs, num_inputs = held.shape[1], x.shape[1]
        step = num_outputs if held.dtype == x.dtype else CACHED_BYTES // (num_inputs * x.dtype.itemsize)
        if step >= num_outputs:
            return linear(x, self.widened(matrix, e, slice(None), x.dtype))
        out = x.new_empty(len(x), num_outputs)
        for start in range(0, num_outputs, step):
            outputs = slice(start, start + step)
            out[:, outputs] = linear(x, self.widened(matrix, e, outputs, x.dtype))
        return out


class Experts(RoutedExperts):
    """Experts in floating-point numbers, as they are."""

    def __init__(self, num_experts: int, hidden_size: int, width: int) -> None:
        super().__init__()
        self.gate_and_up_proj = nn.Parameter(torch.empty(num_experts, 2 * width, hidden_size))
        self.down_proj = nn.Parameter(torch.empty(num_experts, hidden_size, width))

    @staticmethod
    def rounded(weight: Tensor) -> Mapping[str, Tensor]:
        """The matrix itself."""
        return {"": weight}

    def widened(self, matrix: str, experts: int | slice, outputs: slice, dtype: torch.dtype) -> Tensor:
        """The numbers themselves."""
        return getattr(self, matrix)[experts, outputs].to(dtype)


def has_grouped_product(x: Tensor) -> bool:
    """Whether one kernel multiplies all experts there: it reads where they end on the GPU, which waits for nothing."""
    return x.device.type == "cuda" and x.dtype == torch.bfloat16


def outputs_at_once(num_experts: int, num_inputs: int, dtype: torch.dtype) -> int:
    """How many outputs of all experts a grouped product widens at once, a multiple of GROUP_ROWS."""
    return max(1, WIDENED_BYTES // (num_experts * num_inputs * dtype.itemsize * GROUP_ROWS)) * GROUP_ROWS


def group(expert_TK: Tensor, *, num_experts: int, multiple: int) -> tuple[Tensor, Tensor, Tensor]:
    """Where each token's experts put their outputs, where each expert's rows end, and which token each row holds.

    Rows are sorted by expert, and each expert's stretch is filled up to a `multiple`. How many there are in all depends
    on shapes alone, so that a GPU never waits for the CPU; what follows the last end is unused.
    """
    num_chosen, device = expert_TK.numel(), expert_TK.device
    expert_R, order = expert_TK.flatten().sort(stable=True)
    ends_E = torch.searchsorted(expert_R, torch.arange(num_experts, device=device), right=True)
    counts_E = ends_E.diff(prepend=ends_E.new_zeros(1))
    padded_E = (counts_E + multiple - 1) // multiple * multiple
    padded_ends_E = padded_E.cumsum(0)
    # How far an expert's rows move back for those filled in before it.
    shift_E = (padded_ends_E - padded_E) - (ends_E - counts_E)
    row = torch.arange(num_chosen, device=device) + shift_E.index_select(0, expert_R)
    num_rows = num_chosen + min(num_experts, num_chosen) * (multiple - 1)
    token_R = order.new_zeros(num_rows).scatter_(0, row, order // expert_TK.shape[1])
    row_TK = torch.empty_like(order).scatter_(0, order, row).view_as(expert_TK)
    return row_TK, padded_ends_E.int(), token_R


@fusible(Region.SUM)
def weighted_sum(out_RD: Tensor, row_TK: Tensor, weight_TK: Tensor) -> Tensor:
    """Each token's experts, at their rows, times their weights; [T, D]."""
    # Back to token order by their rows: summing in place would depend on thread order.
    out_TKD = out_RD.index_select(0, row_TK.flatten()).unflatten(0, row_TK.shape)
    return torch.bmm(weight_TK[:, None, :].to(out_TKD.dtype), out_TKD)[:, 0]
