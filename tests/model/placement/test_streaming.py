"""The same bytes whatever the placement, in pictures and in text; and what is read for them."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from placed_pipelines import WHERE, load, outcome, placed
from torch import Tensor

from danqing.hunyuan_image3 import pipeline as pipeline_module
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.placement.streaming import DiskSource
from danqing.hunyuan_image3.precision import Precision


@pytest.mark.parametrize(
    ("name", "where"),
    [
        *(("base", where) for where in WHERE),
        ("instruct", "mixed"),
        ("distil", "mixed"),
        ("distil", "split and streamed"),
        ("distil", "whole layers mixed"),
        ("int4", "whole layers on disk"),
        ("int4", "mixed"),
        ("fp8", "mixed"),
    ],
)
def test_placement_never_changes_a_bit(
    folders: Mapping[str, Path], resident: Mapping[str, bytes], name: str, where: str
) -> None:
    assert outcome(load(folders[name], where), name) == resident[name]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[int] | None]:
    seen: list[Sequence[int] | None] = []
    read = DiskSource.read

    def recorded(self: DiskSource, targets: Mapping[str, Tensor], experts: Sequence[int] | None) -> None:
        seen.append(experts)
        read(self, targets, experts)

    monkeypatch.setattr(DiskSource, "read", recorded)
    return seen


def test_a_token_fetches_the_experts_it_is_routed_to_alone(
    folders: Mapping[str, Path], reads: list[Sequence[int] | None]
) -> None:
    pipeline = load(folders["base"], "disk")
    model = pipeline.model
    with torch.inference_mode():
        model.read([7], model.new_cache(1))
    assert len(reads) == 5
    assert all(experts is not None and len(experts) == 2 for experts in reads)


def test_a_step_reads_each_layer_once_for_both_branches(
    folders: Mapping[str, Path], reads: list[Sequence[int] | None]
) -> None:
    pipeline = load(folders["base"], "disk")
    outcome(pipeline, "base")
    # Two prefixes, two steps; the layer that would come next is under way at the end.
    assert len(reads) == 4 * 5 + 1
    assert set(reads) == {None}


def test_a_folder_in_another_form_than_it_is_used_in_cannot_stay_on_disk(folders: Mapping[str, Path]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline_module, "plan_folder", lambda *_: placed("disk", 5))
        with pytest.raises(CheckpointError, match=r"experts\.0.*another form.*danqing model convert"):
            Pipeline.load(folders["base"], precision=Precision.BFLOAT16)


def test_a_file_that_ends_early_is_named_and_the_next_turn_reads_anew(
    folders: Mapping[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["base"], tmp_path / "cut"))
    pipeline = load(folder, "disk")
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    with file.open("r+b") as opened:
        opened.truncate(len(whole) // 4)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: ends before byte"):
        outcome(pipeline, "base")
    file.write_bytes(whole)
    assert outcome(pipeline, "base") == outcome(load(folders["base"], None), "base")
