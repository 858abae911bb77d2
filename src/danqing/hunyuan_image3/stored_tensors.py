"""The tensors of a checkpoint folder: which files hold them, their headers, and one reader for both.

A file and the index must agree about every name. A weight comes with what belongs to it, such as its scale.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.stand_ins import stand_in

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
# Image understanding; text-to-image never reads these.
SKIPPED = ("vision_model.", "vision_aligner.")
# What belongs to a weight beside its numbers: `X.weight` has `X.weight_scale`, and in int4 `X.weight_offset`.
SCALE, OFFSET = "_scale", "_offset"
PART_ENDS = {f".weight{suffix}": suffix for suffix in (SCALE, OFFSET)}
# Others' scale of activations; each token gets one of our own.
INPUT_SCALE = ".input_scale"
# By the names that safetensors writes.
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True, kw_only=True)
class FileRange:
    """Where the numbers of one tensor are in their file."""

    path: Path
    offset: int
    num_bytes: int


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """The header of one tensor, and `read`, which reads its numbers. `type_name` is the file's own, such as BF16.

    `parts` are the tensors that belong to it, such as its scale, by suffix.
    """

    key: str
    shape: Sequence[int]
    type_name: str
    path: Path
    read: Callable[[], Tensor]
    parts: Mapping[str, "StoredTensor"] = field(default_factory=dict)

    @property
    def dtype(self) -> torch.dtype:
        """The type of its numbers. Raises CheckpointError for one that PyTorch lacks."""
        if self.type_name not in DTYPES:
            raise CheckpointError(f"key {self.key!r} is stored as {self.type_name}, which this runtime does not read")
        return DTYPES[self.type_name]


def stored_tensors(folder: Path, *, with_skipped: bool = False) -> Iterator[StoredTensor]:
    """Every tensor that text-to-image reads, or all, file by file. Raises CheckpointError naming file or key."""
    skipped = () if with_skipped else SKIPPED
    parts: dict[str, dict[str, StoredTensor]] = {}
    for stored in all_tensors(folder):
        if end := _part_end(stored.key):
            suffix = PART_ENDS[end]
            parts.setdefault(stored.key.removesuffix(suffix), {})[suffix] = stored
    for stored in all_tensors(folder):
        if not (_part_end(stored.key) or stored.key.endswith(INPUT_SCALE) or stored.key.startswith(skipped)):
            yield replace(stored, parts=parts.pop(stored.key, {}))
    lonely = sorted(part.key for each in parts.values() for part in each.values() if not part.key.startswith(SKIPPED))
    if lonely:
        raise CheckpointError(f"key {lonely[0]!r} has no weight that it belongs to")


def all_tensors(folder: Path) -> Iterator[StoredTensor]:
    """Everything in the files of a checkpoint, under its own key, one file after the other."""
    for path, expected in shards(folder).items():
        with _opened(path) as file:
            for key in _checked_keys(path, present=file.keys(), expected=expected):
                header = file.get_slice(key)
                yield StoredTensor(
                    key=key,
                    shape=header.get_shape(),
                    type_name=header.get_dtype(),
                    path=path,
                    read=partial(_read, path, key),
                )


def file_ranges(path: Path) -> Mapping[str, FileRange]:
    """Where each tensor of a safetensors file is in it, for reading without mapping the file."""
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_bytes))
    ranges = {}
    for key, entry in header.items():
        if key != "__metadata__":
            start, end = entry["data_offsets"]
            ranges[key] = FileRange(path=path, offset=8 + header_bytes + start, num_bytes=end - start)
    return ranges


def _part_end(key: str) -> str | None:
    return next((end for end in PART_ENDS if key.endswith(end)), None)


def _read(path: Path, key: str) -> Tensor:
    # Opened anew, so that no file stays mapped behind a tensor that nobody holds any more.
    with _opened(path) as file:
        return file.get_tensor(key)


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError:
        raise CheckpointError(f"{path}: file not found, though {INDEX_FILE} names it") from None
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: {(path.is_file() and stand_in(path)) or f'cannot be read as safetensors: {error}'}"
        ) from None


def shards(folder: Path) -> dict[Path, list[str]]:
    """The files of a checkpoint and the keys that the index places in each; without an index, no keys."""
    index = folder / INDEX_FILE
    if index.is_file():
        weight_map = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict):
            raise CheckpointError(f"{index}: key 'weight_map' must map tensor names to files")
        files: dict[Path, list[str]] = {}
        for key, name in weight_map.items():
            if not isinstance(name, str) or Path(name).name != name:
                raise CheckpointError(f"{index}: the file of {key!r} must be a plain file name, not {name!r}")
            files.setdefault(folder / name, []).append(key)
        return files
    if not (folder / SINGLE_FILE).is_file():
        raise CheckpointError(f"{folder}: holds neither {SINGLE_FILE} nor {INDEX_FILE}")
    return {folder / SINGLE_FILE: []}


def _checked_keys(path: Path, *, present: Iterable[str], expected: Collection[str]) -> list[str]:
    keys = sorted(present)
    missing, unknown = sorted(set(expected) - set(keys)), sorted(set(keys) - set(expected))
    if expected and missing:
        raise CheckpointError(f"{path}: key {missing[0]!r} is missing, though {INDEX_FILE} places it here")
    if expected and unknown:
        raise CheckpointError(f"{path}: holds key {unknown[0]!r}, though {INDEX_FILE} does not place it here")
    return keys
