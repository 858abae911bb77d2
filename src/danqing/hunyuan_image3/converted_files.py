"""Files of a converted checkpoint: which tensors each holds, in which form, and writing them one after the other."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from danqing.hunyuan_image3.config import ModelConfig
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.safetensors_writer import PARTIAL_SUFFIX, Header, SafetensorsWriter, file_header
from danqing.hunyuan_image3.stored_numbers import meant
from danqing.hunyuan_image3.stored_tensors import StoredTensor
from danqing.hunyuan_image3.weights import ROUNDED_EXPERTS, ExpertTarget, Places, meta_model

SHARD_BYTES = 10**9


@dataclass(frozen=True)
class Item:
    """One stored tensor and what it becomes, by suffix; an expert's matrix has parts, all else is its numbers."""

    stored: StoredTensor
    results: Mapping[str, Header]
    is_expert: bool

    @property
    def num_bytes(self) -> int:
        return sum(header.num_bytes for header in self.results.values())


@dataclass(frozen=True)
class Shard:
    """One file to write."""

    name: str
    items: Sequence[Item]

    @property
    def headers(self) -> list[Header]:
        return [header for item in self.items for header in item.results.values()]

    @property
    def num_bytes(self) -> int:
        return len(file_header(self.headers)) + sum(item.num_bytes for item in self.items)


def plan_shards(tensors: Iterable[StoredTensor], config: ModelConfig, precision: Precision) -> list[Shard]:
    """What each file will hold of these tensors, in the order of layers and experts, from headers alone."""
    places = Places(meta_model(config, precision=precision, activations=torch.bfloat16))
    items = [_item(stored, places) for stored in tensors]
    items.sort(key=lambda item: _natural(item.stored.key))
    files: list[list[Item]] = []
    room = 0
    for item in items:
        if not files or item.num_bytes > room:
            files.append([])
            room = SHARD_BYTES
        files[-1].append(item)
        room -= item.num_bytes
    names = (f"model-{i:05}-of-{len(files):05}.safetensors" for i in range(1, len(files) + 1))
    return [Shard(name, file) for name, file in zip(names, files, strict=True)]


def write_shard(
    folder: Path, shard: Shard, precision: Precision, *, on_written: Callable[[int], None] = lambda _: None
) -> str:
    """Write one file, tensor by tensor; returns its SHA-256. `on_written` is told the bytes of the file so far."""
    done = 0
    with SafetensorsWriter(folder / shard.name, shard.headers) as writer:
        for item in shard.items:
            for suffix, value in converted(item, precision).items():
                writer.add(item.results[suffix].key, value)
            done += item.num_bytes
            on_written(done)
        return writer.finish()


def index_of(plan: Sequence[Shard]) -> Mapping[str, Any]:
    """The contents of the index of these files."""
    return {
        "metadata": {"total_size": sum(header.num_bytes for shard in plan for header in shard.headers)},
        "weight_map": {header.key: shard.name for shard in plan for header in shard.headers},
    }


def _item(stored: StoredTensor, places: Places) -> Item:
    parts = places.expert_parts(stored.key)
    if parts is not None:
        headers = {suffix: Header(stored.key + suffix, part.dtype, part.shape) for suffix, part in parts.items()}
        return Item(stored, headers, is_expert=True)
    # Others' fp8, outside of experts, is widened.
    dtype = torch.bfloat16 if stored.parts else stored.dtype
    return Item(stored, {"": Header(stored.key, dtype, stored.shape)}, is_expert=False)


def converted(item: Item, precision: Precision) -> Mapping[str, Tensor]:
    """Read a tensor and give it its new form, by suffix."""
    stored = item.stored
    value, parts = stored.read(), {suffix: part.read() for suffix, part in stored.parts.items()}
    if not item.is_expert:
        return {"": meant(stored.key, value, parts).to(item.results[""].dtype) if parts else value}
    filled = ExpertTarget(ROUNDED_EXPERTS[precision])
    filled.parts = {suffix: torch.empty(header.shape, dtype=header.dtype) for suffix, header in item.results.items()}
    filled.fill(stored.key, value, parts)
    return filled.parts


def _natural(key: str) -> list[str | tuple[int, str]]:
    """Sorts numbers in names by their value."""
    return [part.zfill(8) if part.isdigit() else part for part in re.split(r"(\d+)", key)]


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replace the file as a whole."""
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    partial.write_text(json.dumps(values, indent=2, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)
