"""Conversion of a checkpoint folder to int8, int4 or fp8: the routed experts are rounded, all else is copied.

What is written is what loading would make of the source, bit for bit. Memory holds one tensor and its result. A file
`conversion.json` in the new folder says how far it is; while it is there, the folder does not load, and the same
conversion goes on after the last complete file of weights.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from danqing.hunyuan_image3.checkpoint_folder import CONFIG_FILE, CONVERSION_FILE, check_folder
from danqing.hunyuan_image3.checksums import CHECKSUMS_FILE, checksum, verify, write_checksums
from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.errors import CheckpointError, ConversionError
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.quantization_config import own_quantization_config
from danqing.hunyuan_image3.safetensors_writer import PARTIAL_SUFFIX, Header, SafetensorsWriter, file_header
from danqing.hunyuan_image3.stored_tensors import INDEX_FILE, StoredTensor, shards, stored_tensors
from danqing.hunyuan_image3.summary import check_headers
from danqing.hunyuan_image3.weights import ROUNDED_EXPERTS, ExpertTarget, Places, meant, meta_model

SHARD_BYTES = 10**9
WEIGHT_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf"}
# What is written anew, or describes the source alone.
OWN_FILES = {CONFIG_FILE, INDEX_FILE, CHECKSUMS_FILE, CONVERSION_FILE}


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


@dataclass(frozen=True)
class Progress:
    """Bytes of the new folder that are done, of all; first they are written, then they are checked."""

    checking: bool
    done_bytes: int
    total_bytes: int


@dataclass
class Conversion:
    """One conversion of `source` into `target`. Raises CheckpointError for the source, ConversionError for the rest."""

    source: Path
    target: Path
    precision: Precision
    on_progress: Callable[[Progress], None] = lambda _: None
    _done: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Convert, or go on where an earlier run stopped, and check the result."""
        self._check_source()
        plan = plan_shards(self.source, self.precision)
        others = other_files(self.source)
        self._begin(plan, others)
        for name in others:
            (self.target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.source / name, self.target / name)
        self._write_shards(plan)
        self._write_config()
        index = {
            "metadata": {"total_size": sum(header.num_bytes for shard in plan for header in shard.headers)},
            "weight_map": {header.key: shard.name for shard in plan for header in shard.headers},
        }
        _write_json(self.target / INDEX_FILE, index)
        written = [*others, CONFIG_FILE, INDEX_FILE]
        write_checksums(self.target, self._done | {name: checksum(self.target / name) for name in written})
        self._check_result()
        (self.target / CONVERSION_FILE).unlink()

    def _check_source(self) -> None:
        check_folder(self.source)
        if self.precision not in ROUNDED_EXPERTS:
            allowed = ", ".join(ROUNDED_EXPERTS)
            raise ConversionError(f"a checkpoint is converted to one of {allowed}, not to {self.precision}")
        values = read_json(self.source / CONFIG_FILE)
        config = parse_model_config(values)
        if (values.get("quantization_config") or {}).get("quant_method") == "danqing":
            raise CheckpointError(f"{self.source}: is a converted checkpoint; convert the one that it was made from")
        check_headers(self.source, config)
        source, target = self.source.resolve(), self.target.resolve()
        if source == target or source in target.parents:
            raise ConversionError(f"{self.target}: must be outside of {self.source}")

    def _begin(self, plan: Sequence[Shard], others: Sequence[str]) -> None:
        """Take over an earlier run's complete files, or begin a new folder; check the room for what is missing."""
        identity = {
            "note": "not finished: run the same `danqing model convert` again, or delete this folder",
            "precision": self.precision.value,
            "source_bytes": {path.name: path.stat().st_size for path in shards(self.source)},
            "shards": [shard.name for shard in plan],
        }
        self._identity = identity
        if (self.target / CONVERSION_FILE).exists():
            state = read_json(self.target / CONVERSION_FILE)
            self._done = _complete_shards(self.target, plan, state.pop("done", {}))
            if state != identity:
                raise ConversionError(
                    f"{self.target}: holds an unfinished conversion of another checkpoint or to another precision;"
                    " delete it or name another folder"
                )
        elif self.target.exists() and (not self.target.is_dir() or any(self.target.iterdir())):
            raise ConversionError(f"{self.target}: exists and is not empty; name a new folder")
        self._check_room(plan, others)
        self.target.mkdir(parents=True, exist_ok=True)
        self._save_state()

    def _check_room(self, plan: Sequence[Shard], others: Sequence[str]) -> None:
        needed = sum(shard.num_bytes for shard in plan if shard.name not in self._done)
        needed += sum((self.source / name).stat().st_size for name in others)
        existing = next(path for path in (self.target, *self.target.absolute().parents) if path.exists())
        free = shutil.disk_usage(existing).free
        # What an earlier run left half written makes room.
        free += sum(path.stat().st_size for path in self.target.glob(f"*{PARTIAL_SUFFIX}"))
        if needed > free:
            raise ConversionError(f"{self.target}: {needed / 1e9:,.2f} GB are needed and {free / 1e9:,.2f} GB are free")

    def _save_state(self) -> None:
        _write_json(self.target / CONVERSION_FILE, {**self._identity, "done": self._done})

    def _write_shards(self, plan: Sequence[Shard]) -> None:
        total = sum(item.num_bytes for shard in plan for item in shard.items)
        done = 0
        for shard in plan:
            if shard.name in self._done:
                done += sum(item.num_bytes for item in shard.items)
                continue
            with SafetensorsWriter(self.target / shard.name, shard.headers) as writer:
                for item in shard.items:
                    for suffix, value in converted(item, self.precision).items():
                        writer.add(item.results[suffix].key, value)
                    done += item.num_bytes
                    self.on_progress(Progress(checking=False, done_bytes=done, total_bytes=total))
                self._done[shard.name] = writer.finish()
            self._save_state()

    def _write_config(self) -> None:
        values: dict[str, Any] = read_json(self.source / CONFIG_FILE)
        values["quantization_config"] = own_quantization_config(self.precision)
        _write_json(self.target / CONFIG_FILE, values)

    def _check_result(self) -> None:
        """Every tensor is there in its form, and what is on the disk is what was meant to be written."""
        check_headers(self.target, parse_model_config(read_json(self.target / CONFIG_FILE)))
        total = sum(path.stat().st_size for path in self.target.rglob("*") if path.is_file())
        done = 0

        def on_read(num_bytes: int) -> None:
            nonlocal done
            done += num_bytes
            self.on_progress(Progress(checking=True, done_bytes=done, total_bytes=total))

        verify(self.target, on_read=on_read)


def plan_shards(source: Path, precision: Precision) -> list[Shard]:
    """What each file will hold, in the order of layers and experts, from headers alone."""
    config = parse_model_config(read_json(source / CONFIG_FILE))
    places = Places(meta_model(config, precision=precision, activations=torch.bfloat16))
    items = [_item(stored, places) for stored in stored_tensors(source, with_skipped=True)]
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


def other_files(folder: Path) -> list[str]:
    """Everything but weights and what is written anew: configuration, tokenizer, licence, by path in the folder."""
    return [str(path.relative_to(folder)) for path in sorted(_visible_files(folder))]


def _visible_files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        inner = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inner.parts)
        if path.is_file() and not hidden and path.suffix not in WEIGHT_SUFFIXES and str(inner) not in OWN_FILES:
            yield path


def _complete_shards(target: Path, plan: Sequence[Shard], done: Any) -> dict[str, str]:
    """Those files of an earlier run that are still there in full."""
    sizes = {shard.name: shard.num_bytes for shard in plan}
    return {
        name: digest
        for name, digest in done.items()
        if (target / name).is_file() and (target / name).stat().st_size == sizes.get(name)
    }


def _natural(key: str) -> list[str | tuple[int, str]]:
    """Sorts numbers in names by their value."""
    return [part.zfill(8) if part.isdigit() else part for part in re.split(r"(\d+)", key)]


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replace the file as a whole."""
    partial = path.with_name(path.name + PARTIAL_SUFFIX)
    partial.write_text(json.dumps(values, indent=2, ensure_ascii=False), encoding="utf-8")
    partial.replace(path)
