"""The tensors of a checkpoint folder: which files hold them, their headers, and one reader for both.

A file and the index must agree about every name. Weights that others store in fp8 come with their scale.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.stand_ins import stand_in

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
# Image understanding; text-to-image never reads these.
SKIPPED = ("vision_model.", "vision_aligner.")
SCALE = "_scale"
# Of others' fp8: `X.weight` times `X.weight_scale`; activations get a scale of our own, token by token.
WEIGHT_SCALE, INPUT_SCALE = ".weight_scale", ".input_scale"


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """The header of one tensor, and `read`, which reads its numbers. `type_name` is the file's own, such as BF16.

    What was read is to be multiplied by `scale`, where there is one.
    """

    key: str
    shape: Sequence[int]
    type_name: str
    read: Callable[[], Tensor]
    scale: Tensor | None = None


def stored_tensors(folder: Path) -> Iterator[StoredTensor]:
    """Every tensor that text-to-image reads, file by file. Raises CheckpointError naming file or key."""
    scales = {
        stored.key.removesuffix(SCALE): stored.read()
        for stored in _all_tensors(folder)
        if stored.key.endswith(WEIGHT_SCALE)
    }
    for stored in _all_tensors(folder):
        if not stored.key.endswith((WEIGHT_SCALE, INPUT_SCALE)):
            yield replace(stored, scale=scales.pop(stored.key, None))
    if scales:
        raise CheckpointError(f"key {min(scales) + SCALE!r} has no weight that it belongs to")


def _all_tensors(folder: Path) -> Iterator[StoredTensor]:
    for path, expected in shards(folder).items():
        with _opened(path) as file:
            for key in _checked_keys(path, present=file.keys(), expected=expected):
                if not key.startswith(SKIPPED):
                    header = file.get_slice(key)
                    yield StoredTensor(
                        key=key,
                        shape=header.get_shape(),
                        type_name=header.get_dtype(),
                        read=lambda file=file, key=key: file.get_tensor(key),  # type: ignore[misc]
                    )


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
