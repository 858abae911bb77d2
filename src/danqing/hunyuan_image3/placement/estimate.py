"""Estimates: the plan of a model in every precision, and what bounds a step there."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from danqing.hunyuan_image3.config import ModelConfig
from danqing.hunyuan_image3.errors import PlacementError
from danqing.hunyuan_image3.placement.plan import Machine, Plan, make_plan
from danqing.hunyuan_image3.placement.sizes import model_size, step_work
from danqing.hunyuan_image3.precision import Precision


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Rates of a machine a second. These are assumptions, not measurements of the machine at hand."""

    host_bytes: float
    disk_bytes: float
    flop: float
    source: str


GPU_RATES = Rates(
    host_bytes=25e9,
    disk_bytes=3e9,
    flop=150e12,
    source="assumed: 25 GB/s from host memory, 3 GB/s from disk, 150 TFLOP/s in bfloat16",
)
CPU_RATES = Rates(
    host_bytes=10e9, disk_bytes=1e9, flop=0.1e12, source="assumed: 1 GB/s from disk, 0.1 TFLOP/s in float32"
)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One precision on one machine. Without a plan, `why_not` says why it does not fit.

    Transfer and arithmetic overlap, so the longer of the two bounds a step, at the checkpoint's base size.
    """

    precision: Precision
    plan: Plan | None
    why_not: str
    transfer_seconds: float
    arithmetic_seconds: float
    rates: Rates

    @property
    def bound_by(self) -> str:
        """`transfer` or `arithmetic`."""
        return "transfer" if self.transfer_seconds > self.arithmetic_seconds else "arithmetic"


def estimates(config: ModelConfig, machine: Machine) -> Iterator[Estimate]:
    """`estimate` for every precision."""
    return (estimate(config, precision, machine) for precision in Precision)


def estimate(config: ModelConfig, precision: Precision, machine: Machine) -> Estimate:
    """From the configuration alone. What stays on disk supposes a folder that stores the precision."""
    on_cpu = machine.devices[0].is_cpu
    rates = CPU_RATES if on_cpu else GPU_RATES
    activations = precision.activations(torch.device("cpu")) if on_cpu else precision.dtype
    plan, why_not, transfer_seconds = None, "", 0.0
    try:
        size = model_size(config, precision, activations=activations, on_cpu=on_cpu)
        plan = make_plan(size, machine, reads_disk=True)
    except PlacementError as error:
        why_not = str(error)
    else:
        transfer_seconds = plan.host_bytes_moved / rates.host_bytes + plan.disk_bytes_moved / rates.disk_bytes
    return Estimate(
        precision=precision,
        plan=plan,
        why_not=why_not,
        transfer_seconds=transfer_seconds,
        arithmetic_seconds=step_work(config).flop / rates.flop,
        rates=rates,
    )
