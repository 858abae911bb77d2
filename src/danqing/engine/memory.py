"""Memory of the engine's process: kept while a task runs, given back to the system when it ends.

glibc alone does the opposite of both. It returns large blocks at once, so that every operation of a long prompt waits
for new pages, a third of its time; and it keeps smaller ones for good where something in use lies above them.
Python's garbage collection passes over what the import of torch leaves.
"""

import ctypes
import gc
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

# <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# The most that glibc allows: blocks up to here come from its own heap.
_MMAP_THRESHOLD_BYTES = 32 << 20
_TRIM_THRESHOLD_BYTES = 1 << 30

# oneDNN and PyTorch's layer above it keep compiled kernels with their buffers, 1,024 of a kind by default. Each shape
# has its own, and each prompt length brings new ones; a step of `mini` needs a dozen. See
# results/2026-11-28-memory.md.
MAX_KERNELS = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128", "LRU_CACHE_CAPACITY": "32"}


def limit_kernels(environment: MutableMapping[str, str]) -> None:
    """Limit the kernels kept, unless the environment does. It is read once, when torch is imported."""
    for name, number in MAX_KERNELS.items():
        environment.setdefault(name, number)


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Pause Python's garbage collection, and exempt from it for good what exists at the end.

    For imports: nearly all that they make stays, and searching it over and over took a fifth of torch's.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


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
