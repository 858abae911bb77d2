"""Facts about this machine: processor, memory, accelerators, disk."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from danqing.hunyuan_image3.placement.machine import host_memory_bytes
from danqing.hunyuan_image3.precision import fastest_precision, supports_fp8

# The features that decide the speed of matrix products, by PyTorch's names.
SPEED_FEATURES = (
    "avx2",
    "avx512_f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_bf16",
    "neon",
    "bf16",
    "sve",
    "sve_bf16",
    "arm_bf16",
)


@dataclass(frozen=True, kw_only=True)
class Processor:
    """A processor. `num_cores`: cores that this process may use; `num_threads`: threads that PyTorch uses."""

    name: str
    num_cores: int
    num_threads: int
    features: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device for a model. `name` is its `DANQING_DEVICE` value, `precision` its fastest precision.

    `fp8`: it supports fp8 products too.
    """

    name: str
    description: str
    memory_bytes: int
    precision: str
    fp8: bool


@dataclass(frozen=True, kw_only=True)
class Folder:
    """A folder that exists or could be created."""

    path: Path
    exists: bool
    writable: bool
    free_bytes: int


def processor() -> Processor:
    """Describe the processor."""
    capabilities = torch.cpu.get_capabilities()
    return Processor(
        name=str(capabilities.get("cpu_name") or platform.processor() or platform.machine()),
        num_cores=_num_cores(),
        num_threads=torch.get_num_threads(),
        features=tuple(name for name in SPEED_FEATURES if capabilities.get(name) is True),
    )


def devices() -> list[Device]:
    """List the GPUs that PyTorch can use, then the CPU."""
    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    found = [
        Device(
            name=f"cuda:{index}",
            description=gpu.name,
            memory_bytes=gpu.total_memory,
            precision=_fastest(f"cuda:{index}"),
            fp8=supports_fp8(torch.device("cuda", index)),
        )
        for index, gpu in enumerate(gpus)
    ]
    cpu = Device(
        name="cpu", description=processor().name, memory_bytes=host_memory_bytes(), precision=_fastest("cpu"), fp8=True
    )
    return [*found, cpu]


def no_gpu_because() -> str:
    """Explain why PyTorch sees no GPU."""
    if torch.version.cuda is None and torch.version.hip is None:
        return "this PyTorch is a CPU build"
    return "PyTorch finds none"


def folder(path: Path) -> Folder:
    """Describe a folder without creating it."""
    present = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return Folder(
        path=path,
        exists=path.is_dir(),
        writable=present.is_dir() and os.access(present, os.W_OK | os.X_OK),
        free_bytes=shutil.disk_usage(present).free,
    )


def _fastest(device: str) -> str:
    return fastest_precision(torch.device(device)).value


def _num_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
