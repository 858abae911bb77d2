"""Which number types a device computes in, and which fastest without emulation. Knows devices, not models."""

import torch

from danqing.hunyuan_image3.errors import UnsupportedDevice

# As the `dtype` of a whole model: its experts in fp8, everything else in bfloat16.
FP8 = torch.float8_e4m3fn
# The first NVIDIA GPUs that multiply it.
FP8_CAPABILITY = (8, 9)


def fastest_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where matrix products in it are native, float32 elsewhere."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    features = torch.cpu.get_capabilities()
    native = any(features.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16", "arm_bf16"))
    return torch.bfloat16 if device.type == "cpu" and native else torch.float32


def supports_fp8(device: torch.device) -> bool:
    """Whether products in fp8 run there; a CPU without them emulates."""
    if device.type == "cuda":
        return torch.version.cuda is not None and torch.cuda.get_device_capability(device) >= FP8_CAPABILITY
    return device.type == "cpu"


def check_support(dtype: torch.dtype, device: torch.device) -> None:
    """Raises UnsupportedDevice where `dtype` is fp8 and the device has no products in it."""
    if dtype == FP8 and not supports_fp8(device):
        needed = ".".join(map(str, FP8_CAPABILITY))
        raise UnsupportedDevice(
            f"fp8 needs an NVIDIA GPU of compute capability {needed} or later (Ada, Hopper, Blackwell), or a CPU;"
            f" {device} is neither"
        )
