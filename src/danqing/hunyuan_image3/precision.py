"""Which number type a device computes fastest in without emulation. Knows devices, not models."""

import torch


def fastest_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where matrix products in it are native, float32 elsewhere."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    features = torch.cpu.get_capabilities()
    native = any(features.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16", "arm_bf16"))
    return torch.bfloat16 if device.type == "cpu" and native else torch.float32
