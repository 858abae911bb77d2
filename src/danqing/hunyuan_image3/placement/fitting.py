"""The plan of one checkpoint folder for one machine."""

from pathlib import Path

import torch

from danqing.hunyuan_image3.config import ModelConfig
from danqing.hunyuan_image3.placement.plan import Machine, Plan, make_plan
from danqing.hunyuan_image3.placement.sizes import model_size
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.weights import are_weights_stored_as_used


def plan_folder(folder: Path, config: ModelConfig, precision: Precision, machine: Machine) -> Plan:
    """Place the folder's model. Raises PlacementError, CheckpointError."""
    first = machine.devices[0]
    activations = precision.activations(torch.device(first.name))
    size = model_size(config, precision, activations=activations, on_cpu=first.is_cpu)
    # The headers are read only where it matters.
    plan = make_plan(size, machine, reads_disk=True)
    if plan.disk_bytes_moved and not are_weights_stored_as_used(folder, config, precision):
        plan = make_plan(size, machine, reads_disk=False)
    return plan
