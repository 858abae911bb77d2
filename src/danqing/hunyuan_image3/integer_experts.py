"""Experts with their weights in int8 or int4, widened just before their products.

Letters: E experts, N outputs, I inputs, G groups of inputs.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3 import integers
from danqing.hunyuan_image3.experts import RoutedExperts


class Int8Experts(RoutedExperts):
    """int8 numbers [E, N, I] and `_scale` [E, N], float32."""

    def __init__(self, num_experts: int, hidden_size: int, width: int) -> None:
        super().__init__()
        for matrix, num_outputs, num_inputs in _shapes(hidden_size, width):
            self.register_parameter(matrix, _integers(num_experts, num_outputs, num_inputs, dtype=torch.int8))
            self.register_buffer(f"{matrix}_scale", torch.empty(num_experts, num_outputs, dtype=torch.float32))

    @staticmethod
    def rounded(weight: Tensor) -> Mapping[str, Tensor]:
        """The matrix in int8 with a scale a row."""
        numbers, scale = integers.round_int8(weight.float())
        return {"": numbers, "_scale": scale}

    def widened(self, matrix: str, experts: int | slice, outputs: slice, dtype: torch.dtype) -> Tensor:
        """Each row times its scale."""
        numbers, scale = (getattr(self, f"{matrix}{suffix}")[experts, outputs] for suffix in ("", "_scale"))
        return integers.widen_int8(numbers, scale, dtype)


class Int4Experts(RoutedExperts):
    """int4 numbers, two a byte, [E, N, I / 2]; `_scale` and `_offset` [E, N, G], bfloat16."""

    def __init__(self, num_experts: int, hidden_size: int, width: int) -> None:
        super().__init__()
        for matrix, num_outputs, num_inputs in _shapes(hidden_size, width):
            num_groups = num_inputs // integers.group_size(num_inputs)
            self.register_parameter(matrix, _integers(num_experts, num_outputs, num_inputs // 2, dtype=torch.uint8))
            for suffix in ("_scale", "_offset"):
                groups = torch.empty(num_experts, num_outputs, num_groups, dtype=torch.bfloat16)
                self.register_buffer(f"{matrix}{suffix}", groups)

    @staticmethod
    def rounded(weight: Tensor) -> Mapping[str, Tensor]:
        """The matrix in int4 with a scale and an offset a group of inputs."""
        numbers, scale, offset = integers.round_int4(weight.float())
        return {"": numbers, "_scale": scale, "_offset": offset}

    def widened(self, matrix: str, experts: int | slice, outputs: slice, dtype: torch.dtype) -> Tensor:
        """Each group times its scale plus its offset."""
        suffixes = "", "_scale", "_offset"
        pairs, scale, offset = (getattr(self, f"{matrix}{suffix}")[experts, outputs] for suffix in suffixes)
        return integers.widen_int4(pairs, scale, offset, dtype)


def _shapes(hidden_size: int, width: int) -> tuple[tuple[str, int, int], ...]:
    return ("gate_and_up_proj", 2 * width, hidden_size), ("down_proj", hidden_size, width)


def _integers(*shape: int, dtype: torch.dtype) -> nn.Parameter:
    return nn.Parameter(torch.empty(shape, dtype=dtype), requires_grad=False)
