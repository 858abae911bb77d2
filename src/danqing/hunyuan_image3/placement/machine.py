"""The memory that a model may use here: that of the devices named, and the host's, both capped by settings."""

import os
from pathlib import Path

import torch

from danqing.hunyuan_image3.errors import UnsupportedDevice
from danqing.hunyuan_image3.placement.plan import DeviceMemory, Machine

# What is left for the system and for other programs.
USABLE_SHARE = 0.9
# The memory limit of a container, which the machine's total does not show.
MEMORY_LIMIT_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def device_names(setting: str) -> list[str]:
    """The devices of `DANQING_DEVICE`, such as `cuda:0,cuda:1`. Raises UnsupportedDevice for one that is not there."""
    names = [name.strip() for name in setting.split(",")]
    for name in names:
        _check(name, setting)
    # `cuda` alone is the first GPU, so that equal devices have equal names.
    return ["cuda:0" if name == "cuda" else name for name in names]


def _check(name: str, setting: str) -> None:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UnsupportedDevice(
            f"DANQING_DEVICE is {setting}; it must be cpu, cuda, a GPU's number as in cuda:1, or several of these with"
            " commas between"
        ) from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            found = f"{count} GPU{'s'[: count != 1]}" if count else "no GPU"
            raise UnsupportedDevice(f"DANQING_DEVICE is {setting}, and PyTorch finds {found}")


def machine(device: str, *, device_memory: int | None, host_memory: int | None) -> Machine:
    """The devices named and the bytes to use; a cap holds for each device. Raises UnsupportedDevice."""
    host_bytes = usable(host_memory_bytes(), host_memory)
    names = device_names(device)
    devices = []
    for name in names:
        if torch.device(name).type == "cuda":
            memory_bytes = usable(torch.cuda.get_device_properties(name).total_memory, device_memory)
        else:
            # Devices of the CPU share the host's memory.
            memory_bytes = min(usable(host_memory_bytes(), device_memory), host_bytes) // names.count(name)
        devices.append(DeviceMemory(name=name, memory_bytes=memory_bytes))
    return Machine(devices=devices, host_bytes=host_bytes)


def usable(there: int, cap: int | None) -> int:
    """What the model may use of the bytes there."""
    usable_bytes = int(USABLE_SHARE * there)
    return usable_bytes if cap is None else min(usable_bytes, cap)


def host_memory_bytes() -> int:
    """Memory of the machine, or of the container where that has less."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in MEMORY_LIMIT_FILES:
        # "max" means no limit.
        if file.is_file() and (text := file.read_text().strip()).isdecimal():
            limits.append(int(text))
    return min(limits)
