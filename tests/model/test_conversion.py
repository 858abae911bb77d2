"""Conversion: the new folder is what loading would make of the source, and an unfinished one is never taken for it."""

import json
import shutil
import subprocess
import sys
from collections import namedtuple
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_checkpoints import PARITY, config_values, random_model, stored_tensors, write_checkpoint, write_sharded
from torch import Tensor

from danqing.hunyuan_image3 import conversion, converted_files
from danqing.hunyuan_image3.checksums import verify
from danqing.hunyuan_image3.conversion import Conversion, Progress
from danqing.hunyuan_image3.errors import CheckpointError, ConversionError
from danqing.hunyuan_image3.fp8 import FP8
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.summary import summarise

ROUNDED = [Precision.INT8, Precision.INT4, Precision.FP8]
KEY = "model.layers.1.mlp.experts.3.down_proj.weight"


def convert(source: Path, target: Path, precision: Precision = Precision.INT4) -> Path:
    Conversion(source, target, precision).run()
    return target


def in_bfloat16(model: HunyuanImage3) -> dict[str, Tensor]:
    return {
        key: value if key.endswith("gate.wg.weight") else value.bfloat16()
        for key, value in stored_tensors(model).items()
    }


@pytest.fixture
def source(tmp_path: Path, tiny_model: HunyuanImage3) -> Path:
    """A checkpoint in two files, with what text-to-image does not read, and a licence."""
    folder = write_checkpoint(tmp_path / "source", config_values(), {})
    (folder / "model.safetensors").unlink()
    tensors = in_bfloat16(tiny_model) | {"vision_model.encoder.weight": torch.randn(3, 5).bfloat16()}
    keys = sorted(tensors)
    write_sharded(
        folder,
        {name: {key: tensors[key] for key in half} for name, half in zip("ab", (keys[::2], keys[1::2]), strict=True)},
    )
    (folder / "LICENSE").write_text("the makers' licence")
    (folder / "docs").mkdir()
    (folder / "docs" / "notes.md").write_text("notes")
    return folder


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many files of weights, as of a large checkpoint."""
    monkeypatch.setattr(converted_files, "SHARD_BYTES", 40_000)


def state(folder: Path, precision: Precision | None = None) -> dict[str, Tensor]:
    return Pipeline.load(folder, precision=precision).model.state_dict()


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert value.dtype == theirs[name].dtype, name
        assert torch.equal(value.reshape(-1).view(torch.uint8), theirs[name].reshape(-1).view(torch.uint8)), name


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("precision", ROUNDED)
def test_a_converted_folder_loads_to_the_bits_that_rounding_at_load_gives(
    source: Path, tmp_path: Path, precision: Precision
) -> None:
    target = convert(source, tmp_path / "target", precision)
    assert len(list(target.glob("*.safetensors"))) > 3
    assert_same(state(target), state(source, precision))
    assert f", {precision}, cpu" in Pipeline.load(target).description


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT4])
def test_a_recorded_checkpoint_converts_and_draws_the_same(tmp_path: Path, precision: Precision) -> None:
    target = convert(PARITY / "distil", tmp_path / "target", precision)
    assert_same(state(target), state(PARITY / "distil", precision))


def test_float32_and_others_fp8_are_read_too(tmp_path: Path, tiny_model: HunyuanImage3) -> None:
    tensors = in_bfloat16(tiny_model)
    fp8 = dict(tensors)
    for key in [key for key in tensors if ".layers." in key and key.endswith("proj.weight")]:
        scale = tensors[key].float().abs().max() / 448
        fp8[key], fp8[key + "_scale"] = (tensors[key].float() / scale).to(FP8), scale
        fp8[key.removesuffix("weight") + "input_scale"] = torch.tensor(1.0)
    quantised = {**config_values(), "quantization_config": {"quant_method": "fp8"}}
    for name, values, stored in (("wide", config_values(), stored_tensors(tiny_model)), ("fp8", quantised, fp8)):
        folder = write_checkpoint(tmp_path / name, values, stored)
        for precision in (Precision.INT8, Precision.FP8):
            target = convert(folder, tmp_path / f"{name} in {precision}", precision)
            assert_same(state(target), state(folder, precision))


def test_all_but_the_experts_is_copied(source: Path, tmp_path: Path) -> None:
    target = convert(source, tmp_path / "target")
    stored = {key: value for path in target.glob("*.safetensors") for key, value in load_file(path).items()}
    for path in source.glob("*.safetensors"):
        for key, value in load_file(path).items():
            if ".mlp.experts." not in key:
                assert torch.equal(stored[key], value), key
    assert {key.removeprefix(KEY): value.dtype for key, value in stored.items() if key.startswith(KEY)} == {
        "": torch.uint8,
        "_scale": torch.bfloat16,
        "_offset": torch.bfloat16,
    }
    assert (target / "LICENSE").read_text() == "the makers' licence"
    assert (target / "docs" / "notes.md").read_text() == "notes"


def test_one_expert_lies_in_one_stretch_of_a_file(source: Path, tmp_path: Path) -> None:
    (path,) = convert(source, tmp_path / "target").glob("*.safetensors")
    length = int.from_bytes(path.read_bytes()[:8], "little")
    offsets = {key: entry["data_offsets"] for key, entry in json.loads(path.read_bytes()[8 : 8 + length]).items()}
    parts = sorted(offset for key, offset in offsets.items() if ".layers.1.mlp.experts.3." in key)
    assert len(parts) == 6
    assert all(before[1] == after[0] for before, after in pairwise(parts))


def test_the_configuration_says_what_was_done(source: Path, tmp_path: Path) -> None:
    target = convert(source, tmp_path / "target")
    written, given = (json.loads((folder / "config.json").read_text()) for folder in (target, source))
    said = written.pop("quantization_config")
    assert written == given
    assert (said["quant_method"], said["precision"], len(said["levels"])) == ("danqing", "int4", 16)
    summary = summarise(target)
    assert summary.converted_to is Precision.INT4
    assert summary.stored_parameters["INT4"] == summary.num_expert_parameters
    assert sum(summary.stored_parameters.values()) == summary.num_parameters


def test_another_version_of_the_form_is_refused(source: Path, tmp_path: Path) -> None:
    target = convert(source, tmp_path / "target")
    values = json.loads((target / "config.json").read_text())
    values["quantization_config"]["version"] = 2
    (target / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match="does not know; convert again"):
        Pipeline.load(target)


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.INT8])
def test_rounded_experts_are_not_used_in_another_precision(source: Path, tmp_path: Path, precision: Precision) -> None:
    target = convert(source, tmp_path / "target")
    with pytest.raises(
        CheckpointError, match=rf"stored in int4 and cannot be used in {precision}.*danqing model convert"
    ):
        Pipeline.load(target, precision=precision)


def test_progress_counts_what_is_written_then_what_is_checked(source: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    Conversion(source, tmp_path / "target", Precision.INT8, seen.append).run()
    written = [progress for progress in seen if not progress.checking]
    assert seen[: len(written)] == written
    assert written[-1].done_bytes == written[-1].total_bytes
    done = [progress.done_bytes for progress in written]
    assert done == sorted(done)
    assert 0.9 < seen[-1].done_bytes / seen[-1].total_bytes <= 1


def interrupted(source: Path, target: Path, *, after: int) -> None:
    """A run that ends in the middle of a file, after so many tensors."""
    count = 0

    def on_progress(progress: Progress) -> None:
        nonlocal count
        count += 1
        if count == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Conversion(source, target, Precision.INT4, on_progress).run()


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("after", [1, 40])
def test_an_interrupted_conversion_does_not_load_and_goes_on_where_it_stopped(
    source: Path, tmp_path: Path, after: int
) -> None:
    whole, target = convert(source, tmp_path / "whole"), tmp_path / "target"
    interrupted(source, target, after=after)
    with pytest.raises(CheckpointError, match=r"conversion\.json.*run the same `danqing model convert` again"):
        Pipeline.load(target)
    complete = {path: path.stat().st_mtime_ns for path in target.glob("*.safetensors")}
    convert(source, target)
    assert {path: path.stat().st_mtime_ns for path in complete} == complete
    assert bool(complete) == (after > 1)
    files = [
        {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} for folder in (whole, target)
    ]
    assert files[0] == files[1]


def test_a_conversion_that_is_killed_at_its_check_is_completed(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    with monkeypatch.context() as patch:
        patch.setattr(conversion, "verify", lambda *_, **__: sys.exit(1))
        with pytest.raises(SystemExit):
            convert(source, target)
    with pytest.raises(CheckpointError, match="not finished"):
        summarise(target)
    assert_same(state(convert(source, target)), state(source, Precision.INT4))


@pytest.mark.usefixtures("small_files")
def test_a_file_that_was_cut_meanwhile_is_written_again(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    interrupted(source, target, after=40)
    first = min(target.glob("*.safetensors"))
    first.write_bytes(first.read_bytes()[:-1])
    assert_same(state(convert(source, target)), state(source, Precision.INT4))


@pytest.mark.usefixtures("small_files")
def test_a_byte_that_changed_before_the_end_is_found_at_the_check(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    interrupted(source, target, after=40)
    first = min(target.glob("*.safetensors"))
    first.write_bytes(first.read_bytes()[:-1] + b"\x55")
    with pytest.raises(CheckpointError, match=rf"{first.name}: has changed"):
        convert(source, target)
    with pytest.raises(CheckpointError, match="not finished"):
        Pipeline.load(target)


def test_a_byte_that_changed_after_the_end_is_found_by_a_check(source: Path, tmp_path: Path) -> None:
    target = convert(source, tmp_path / "target")
    assert verify(target) == len([path for path in target.rglob("*") if path.is_file()]) - 1
    (path,) = target.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")
    with pytest.raises(CheckpointError, match=rf"{path.name}: has changed"):
        verify(target)


def test_a_file_of_a_converted_folder_that_is_cut_does_not_load(source: Path, tmp_path: Path) -> None:
    target = convert(source, tmp_path / "target")
    (path,) = target.glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=path.name):
        Pipeline.load(target)


@pytest.mark.parametrize("suffix", ["_scale", "_offset"])
def test_a_missing_part_of_a_rounded_weight_is_named(source: Path, tmp_path: Path, suffix: str) -> None:
    target = convert(source, tmp_path / "target")
    (path,) = target.glob("*.safetensors")
    tensors = load_file(path)
    del tensors[KEY + suffix]
    save_file(tensors, target / "model.safetensors")
    (target / "model.safetensors.index.json").unlink()
    for read in (Pipeline.load, summarise):
        with pytest.raises(CheckpointError, match=f"{KEY + suffix}' is missing"):
            read(target)


def test_an_unfinished_conversion_of_something_else_is_left_alone(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    interrupted(source, target, after=1)
    with pytest.raises(ConversionError, match="another precision"):
        convert(source, target, Precision.INT8)


def test_a_folder_with_files_is_left_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "mine.txt").write_text("mine")
    with pytest.raises(ConversionError, match="not empty"):
        convert(source, tmp_path / "target")
    with pytest.raises(ConversionError, match="must be outside of"):
        convert(source, source / "inside")


def test_too_little_room_is_said_before_anything_is_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 1000))
    with pytest.raises(ConversionError, match=r"target: 0\.00 GB are needed and 0\.00 GB are free"):
        convert(source, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_converted_checkpoint_and_a_broken_one_are_not_converted(source: Path, tmp_path: Path) -> None:
    target = convert(source, tmp_path / "target")
    with pytest.raises(CheckpointError, match="is a converted checkpoint"):
        convert(target, tmp_path / "again")
    tensors = load_file(source / "b")
    del tensors[next(key for key in tensors if not key.startswith("vision"))]
    save_file(tensors, source / "b")
    with pytest.raises(CheckpointError, match="is missing"):
        convert(source, tmp_path / "broken")
    assert not (tmp_path / "broken").exists()


# Runs alone: another test's memory would blur the figure.
MEASURE = """
import json, sys
from pathlib import Path
from danqing.hunyuan_image3.conversion import Conversion
from danqing.hunyuan_image3.precision import Precision

def anonymous_bytes():
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024

seen = []
Conversion(Path(sys.argv[1]), Path(sys.argv[2]), Precision("int8"), lambda _: seen.append(anonymous_bytes())).run()
# From the first tensor on: PyTorch imports much before.
print(json.dumps(max(seen) - seen[0]))
"""


def test_memory_holds_one_tensor_and_its_result(tmp_path: Path) -> None:
    values = config_values(hidden_size=512, moe_intermediate_size=512, num_experts=32, vocab_size=8_000)
    tensors = {key: value.bfloat16() for key, value in stored_tensors(random_model(values)).items()}
    folder = write_checkpoint(tmp_path / "source", values, tensors)
    command = [sys.executable, "-c", MEASURE, str(folder), str(tmp_path / "target")]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)
    total = sum(value.nbytes for value in tensors.values())
    largest = max(value.nbytes for value in tensors.values())
    allocator = 12 * 2**20
    assert total > 4 * (2 * largest + allocator)
    assert measured < 2 * largest + allocator
