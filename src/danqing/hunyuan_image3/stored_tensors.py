"""The tensors of a checkpoint folder: which files hold them, their headers, and one reader for both.

A file and the index must agree about every name.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from danqing.hunyuan_image3.config import read_json
from danqing.hunyuan_image3.errors import CheckpointError

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
# Image understanding; text-to-image never reads these.
SKIPPED = ("vision_model.", "vision_aligner.")


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """The header of one tensor, and `read`, which reads its numbers. `type_name` is the file's own, such as BF16."""

    key: str
    shape: Sequence[int]
    type_name: str
    read: Callable[[], Tensor]


def stored_tensors(folder: Path) -> Iterator[StoredTensor]:
    """Every tensor that text-to-image reads, file by file. Raises CheckpointError naming file or key."""
    for path, expected in shards(folder).items():
        try:
            file: Any = safe_open(path, framework="pt")
        except FileNotFoundError:
            raise CheckpointError(f"{path}: file not found, though {INDEX_FILE} names it") from None
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path}: cannot be read as safetensors: {error}") from None
        with file:
            for key in _checked_keys(path, present=file.keys(), expected=expected):
                if not key.startswith(SKIPPED):
                    header = file.get_slice(key)
                    yield StoredTensor(
                        key=key,
                        shape=header.get_shape(),
                        type_name=header.get_dtype(),
                        read=lambda file=file, key=key: file.get_tensor(key),  # type: ignore[misc]
                    )


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
