"""A safetensors file, written tensor by tensor: the library's own way holds all tensors of a file in memory."""

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from danqing.hunyuan_image3.stored_tensors import DTYPES

TYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}
# Readers map tensors in place, which works at multiples of their numbers' size.
ALIGNMENT = 8
PARTIAL_SUFFIX = ".partial"


@dataclass(frozen=True)
class Header:
    """Key, type and shape of a tensor to be written."""

    key: str
    dtype: torch.dtype
    shape: Sequence[int]

    @property
    def num_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class SafetensorsWriter:
    """Writes the tensors of `headers` in any order of calls; `finish` gives the complete file its name.

    Tensors lie in the order of `headers`, those whose sizes would misalign others at the end. Calls out of that order
    keep their tensor in memory until its turn.
    """

    def __init__(self, path: Path, headers: Sequence[Header]) -> None:
        self.path = path
        even = [header for header in headers if header.num_bytes % ALIGNMENT == 0]
        odd = [header for header in headers if header.num_bytes % ALIGNMENT]
        self._order = [*even, *sorted(odd, key=lambda header: -header.dtype.itemsize)]
        self._next, self._waiting = 0, dict[str, Tensor]()
        self._digest = hashlib.sha256()
        self._partial = path.with_name(path.name + PARTIAL_SUFFIX)
        self._file = self._partial.open("wb")
        self._write(file_header(self._order))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, key: str, tensor: Tensor) -> None:
        """Write one tensor, and those that waited for it."""
        self._waiting[key] = tensor
        while self._next < len(self._order) and self._order[self._next].key in self._waiting:
            header = self._order[self._next]
            value = self._waiting.pop(header.key)
            if (value.dtype, list(value.shape)) != (header.dtype, list(header.shape)):
                raise ValueError(f"{header.key} is {value.dtype} {list(value.shape)}, announced as {header}")
            self._write(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
            self._next += 1

    def finish(self) -> str:
        """Give the complete file its name; returns its SHA-256."""
        if self._next < len(self._order):
            raise ValueError(f"{self._order[self._next].key} was not written")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._partial.replace(self.path)
        return self._digest.hexdigest()

    def _write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._digest.update(data)


def file_header(headers: Sequence[Header]) -> bytes:
    """The start of a file whose tensors follow in this order."""
    entries, start = {}, 0
    for header in headers:
        end = start + header.num_bytes
        offsets = [start, end]
        entries[header.key] = {
            "dtype": TYPE_NAMES[header.dtype],
            "shape": list(header.shape),
            "data_offsets": offsets,
        }
        start = end
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
