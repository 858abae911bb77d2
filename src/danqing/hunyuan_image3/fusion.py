"""Fusion: regions of element-wise work that PyTorch's compiler may turn into few kernels, and which of them it does.

A function of a region is written once, plainly, and marked by `fusible`; that code is the truth. `fuse` names the
regions whose functions this process calls compiled instead. The compiler is imported and runs at the first such call;
for each device, type and row size a function is compiled once for a single row and once for any other number of them.

Not yet run on a GPU.
"""

from collections.abc import Callable, Collection
from enum import StrEnum
from functools import cached_property
from typing import Any, Generic, TypeVar, TypeVarTuple

import torch
from torch import Tensor, nn


class Region(StrEnum):
    """Work between two products, or between a product and attention."""

    NORM = "norm"  # RMSNorm of the hidden states
    ROTATION = "rotation"  # queries and keys, turned and normalised
    GATHER = "gather"  # tokens rounded to fp8 and put into their experts' rows
    GATE = "gate"  # gate and SiLU, and the rounding to fp8 after them
    SUM = "sum"  # each token's experts, weighted


# Round after every operation as eager code does, and choose no kernel for a reduction by measuring.
EAGER_NUMBERS = {"emulate_precision_casts": True, "deterministic": True}
OPTIONS: dict[Region, dict[str, Any]] = dict.fromkeys(Region, EAGER_NUMBERS) | {
    # With it a product of one row becomes a sum, which the gathering before it joins.
    Region.SUM: EAGER_NUMBERS | {"coordinate_descent_tuning": True},
}
# Of one function: devices times the widths of a checkpoint's feed-forward parts, times two. PyTorch's own limit is 8.
MAX_COMPILED = 64

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")

_fused: set[Region] = set()


def fuse(regions: Collection[Region]) -> None:
    """From now on, functions of exactly these regions run compiled in this process."""
    _fused.clear()
    _fused.update(regions)


class Fusible(Generic[*Arguments, Result]):
    """A function of a region: `plain` as it is written, or compiled while its region is fused.

    Tokens or rows are the first axis of every tensor it takes, except of a parameter.
    """

    def __init__(self, region: Region, plain: Callable[[*Arguments], Result]) -> None:
        self.region, self.plain = region, plain

    def __call__(self, *arguments: *Arguments) -> Result:
        if self.region not in _fused:
            return self.plain(*arguments)
        compiled = self._compiled
        for each in arguments:
            if isinstance(each, Tensor) and not isinstance(each, nn.Parameter):
                # Not `mark_unbacked`, for which a single row would be like any number: it keeps the compiler from
                # joining a reduction with what follows it, see ADR 14.
                torch._dynamo.maybe_mark_dynamic(each, 0)
        return compiled(*arguments)

    @cached_property
    def _compiled(self) -> Callable[[*Arguments], Result]:
        compiled = torch.compile(self.plain, fullgraph=True, dynamic=False, options=OPTIONS[self.region])
        torch._dynamo.config.recompile_limit = MAX_COMPILED
        return compiled


def fusible(region: Region) -> Callable[[Callable[[*Arguments], Result]], Fusible[*Arguments, Result]]:
    """Make a function one of a region. Inside another one, call its `plain`."""
    return lambda plain: Fusible(region, plain)
