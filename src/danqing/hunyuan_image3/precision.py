"""Precisions: how a model's weights are held, and what a device computes in without emulation.

PyTorch is imported inside functions: the service reads a checkpoint's configuration, and names precisions, without it.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from danqing.hunyuan_image3.errors import UnsupportedDevice

if TYPE_CHECKING:
    import torch

# The first NVIDIA GPUs that multiply fp8.
FP8_CAPABILITY = (8, 9)
NATIVE_BFLOAT16_FEATURES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16", "arm_bf16")


class Precision(StrEnum):
    """How the weights of a model are held; `Precision("fp8")` reads its name.

    FP8, INT8 and INT4 round the routed experts alone. Routers are float32 in every precision.
    """

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FP8 = "fp8"
    INT8 = "int8"
    INT4 = "int4"

    @property
    def dtype(self) -> "torch.dtype":
        """The type in which matrices of layers and embeddings of tokens are held, where they are not rounded."""
        import torch

        return torch.float32 if self is Precision.FLOAT32 else torch.bfloat16

    @property
    def rounds_experts(self) -> bool:
        """Whether routed experts are held in fewer bits than `dtype`."""
        return self in (Precision.FP8, Precision.INT8, Precision.INT4)

    @property
    def widens_experts(self) -> bool:
        """Whether routed experts are widened before their products; those in fp8 multiply as they are."""
        return self in (Precision.INT8, Precision.INT4)

    def activations(self, device: "torch.device") -> "torch.dtype":
        """The type of activations, and of every weight that is not a large matrix.

        int8 and int4 are widened before their products: to float32 where bfloat16 would be emulated.
        """
        import torch

        return torch.float32 if self.widens_experts and not multiplies_bfloat16(device) else self.dtype


def fastest_precision(device: "torch.device", *, stored: Precision | None = None) -> Precision:
    """bfloat16 where its matrix products are native, float32 elsewhere: nothing is rounded that is not rounded yet.

    Experts that are `stored` rounded stay as they are, fp8 where the device has products in it.
    """
    if stored and (stored is not Precision.FP8 or supports_fp8(device)):
        return stored
    return Precision.BFLOAT16 if multiplies_bfloat16(device) else Precision.FLOAT32


def multiplies_bfloat16(device: "torch.device") -> bool:
    """Whether matrix products in bfloat16 are native there."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    features = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return any(features.get(name, False) for name in NATIVE_BFLOAT16_FEATURES)


def supports_fp8(device: "torch.device") -> bool:
    """Whether products in fp8 run there; a CPU without them emulates."""
    import torch

    if device.type == "cuda":
        return torch.version.cuda is not None and torch.cuda.get_device_capability(device) >= FP8_CAPABILITY
    return device.type == "cpu"


def check_support(precision: Precision, device: "torch.device") -> None:
    """Raises UnsupportedDevice when the device has no products in this precision."""
    if precision is Precision.FP8 and not supports_fp8(device):
        needed = ".".join(map(str, FP8_CAPABILITY))
        raise UnsupportedDevice(
            f"fp8 needs an NVIDIA GPU of compute capability {needed} or later (Ada, Hopper, Blackwell), or a CPU;"
            f" {device} is neither"
        )
