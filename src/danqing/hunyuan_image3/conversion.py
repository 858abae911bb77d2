"""Conversion of a checkpoint folder to int8, int4 or fp8: the routed experts are rounded, all else is copied.

What is written is what loading would make of the source, bit for bit. Memory holds one tensor and its result. A file
`conversion.json` in the new folder says how far it is; while it is there, the folder does not load, and the same
conversion goes on after the last complete file of weights.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from danqing.hunyuan_image3.checkpoint_folder import CONFIG_FILE, CONVERSION_FILE, check_folder
from danqing.hunyuan_image3.checksums import CHECKSUMS_FILE, checksum, verify, write_checksums
from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.converted_files import Shard, index_of, plan_shards, write_json, write_shard
from danqing.hunyuan_image3.errors import CheckpointError, ConversionError
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.quantization_config import own_quantization_config
from danqing.hunyuan_image3.safetensors_writer import PARTIAL_SUFFIX
from danqing.hunyuan_image3.stored_tensors import INDEX_FILE, shards, stored_tensors
from danqing.hunyuan_image3.summary import check_headers
from danqing.hunyuan_image3.weights import ROUNDED_EXPERTS

WEIGHT_SUFFIXES = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf"}
# What is written anew, or describes the source alone.
OWN_FILES = {CONFIG_FILE, INDEX_FILE, CHECKSUMS_FILE, CONVERSION_FILE}


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
        config = parse_model_config(read_json(self.source / CONFIG_FILE))
        plan = plan_shards(stored_tensors(self.source, with_skipped=True), config, self.precision)
        others = other_files(self.source)
        self._begin(plan, others)
        for name in others:
            (self.target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.source / name, self.target / name)
        self._write_shards(plan)
        self._write_config()
        write_json(self.target / INDEX_FILE, index_of(plan))
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
        write_json(self.target / CONVERSION_FILE, {**self._identity, "done": self._done})

    def _write_shards(self, plan: Sequence[Shard]) -> None:
        total = sum(item.num_bytes for shard in plan for item in shard.items)
        done = 0
        for shard in plan:
            if shard.name in self._done:
                done += sum(item.num_bytes for item in shard.items)
                continue
            start = done

            def on_written(num_bytes: int, start: int = start) -> None:
                self.on_progress(Progress(checking=False, done_bytes=start + num_bytes, total_bytes=total))

            self._done[shard.name] = write_shard(self.target, shard, self.precision, on_written=on_written)
            done += sum(item.num_bytes for item in shard.items)
            self._save_state()

    def _write_config(self) -> None:
        values: dict[str, Any] = read_json(self.source / CONFIG_FILE)
        values["quantization_config"] = own_quantization_config(self.precision)
        write_json(self.target / CONFIG_FILE, values)

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
