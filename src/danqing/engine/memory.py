"""Memory of the engine's process: kept while a task runs, given back to the system when it ends.

glibc alone does the opposite of both. It returns large blocks at once, so that every operation of a long prompt waits
for new pages, a third of its time; and it keeps smaller ones for good where something in use lies above them.
"""

import ctypes
from collections.abc import MutableMapping

# <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# The most that glibc allows: blocks up to here come from its own heap.
_MMAP_THRESHOLD_BYTES = 32 << 20
_TRIM_THRESHOLD_BYTES = 1 << 30

# oneDNN keeps this many compiled kernels. Each shape has its own, and each prompt length brings new shapes; a step of
# `mini` needs about fifty.
KERNELS_SETTING = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
MAX_KERNELS = "128"


def limit_kernels(environment: MutableMapping[str, str]) -> None:
    """Limit oneDNN's kernels, unless the environment does. It is read once, when torch is imported."""
    environment.setdefault(KERNELS_SETTING, MAX_KERNELS)


class Heap:
    """The heap of this process, under glibc; elsewhere nothing happens."""

    def __init__(self) -> None:
        """From now on freed memory stays until `give_back`."""
        libc = ctypes.CDLL(None)
        self._trim = getattr(libc, "malloc_trim", None)
        if self._trim is not None:
            libc.mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
            libc.mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)

    def give_back(self) -> None:
        """Return all free pages to the system; takes milliseconds."""
        if self._trim is not None:
            self._trim(0)
