"""Precisions: how a model's weights are held, and which of them a device computes in without emulation."""

from enum import StrEnum

import torch

from danqing.hunyuan_image3.errors import UnsupportedDevice

# The first NVIDIA GPUs that multiply fp8.
FP8_CAPABILITY = (8, 9)


class Precision(StrEnum):
    """How the weights of a model are held; `Precision("fp8")` reads its name.

    FP8 rounds the routed experts alone. Routers are float32 in every precision.
    """

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FP8 = "fp8"

    @property
    def dtype(self) -> torch.dtype:
        """The type of activations, and of every weight that is neither rounded nor a router's."""
        return torch.float32 if self is Precision.FLOAT32 else torch.bfloat16


def fastest_precision(device: torch.device, *, stored_fp8: bool = False) -> Precision:
    """bfloat16 where its matrix products are native, float32 elsewhere: nothing is rounded that is not rounded yet.

    Experts that are stored in fp8 stay as they are where the device has products in it.
    """
    if stored_fp8 and supports_fp8(device):
        return Precision.FP8
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        features = torch.cpu.get_capabilities() if device.type == "cpu" else {}
        names = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16", "arm_bf16")
        native = any(features.get(name, False) for name in names)
    return Precision.BFLOAT16 if native else Precision.FLOAT32


def supports_fp8(device: torch.device) -> bool:
    """Whether products in fp8 run there; a CPU without them emulates."""
    if device.type == "cuda":
        return torch.version.cuda is not None and torch.cuda.get_device_capability(device) >= FP8_CAPABILITY
    return device.type == "cpu"


def check_support(precision: Precision, device: torch.device) -> None:
    """Raises UnsupportedDevice when the device has no products in this precision."""
    if precision is Precision.FP8 and not supports_fp8(device):
        needed = ".".join(map(str, FP8_CAPABILITY))
        raise UnsupportedDevice(
            f"fp8 needs an NVIDIA GPU of compute capability {needed} or later (Ada, Hopper, Blackwell), or a CPU;"
            f" {device} is neither"
        )
