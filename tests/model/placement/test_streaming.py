"""The same bytes whatever the placement, in pictures and in text; and what is read for them."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch
from tiny_checkpoints import (
    CAPTION,
    THOUGHT,
    config_values,
    random_model,
    stored_tensors,
    write_checkpoint,
    write_distil,
    write_instruct,
)
from torch import Tensor

from danqing.hunyuan_image3 import pipeline as pipeline_module
from danqing.hunyuan_image3.conversion import Conversion
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.pipeline import Pipeline, TextToImage
from danqing.hunyuan_image3.placement.plan import LayerHome, Plan, Store, resident_plan
from danqing.hunyuan_image3.placement.streaming import DiskSource
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.weights import stored_precision

WHERE = {
    "host": (["host"] * 5, ["cpu"] * 5),
    "disk": (["disk"] * 5, ["cpu"] * 5),
    "one streamed layer": (["device", "device", "disk", "device", "device"], ["cpu"] * 5),
    "mixed": (["disk", "device", "host", "disk", "host"], ["cpu"] * 5),
    "whole layers on disk": (["DISK"] * 5, ["cpu"] * 5),
    "whole layers mixed": (["DISK", "device", "HOST", "HOST", "disk"], ["cpu"] * 5),
    # Names of two devices that are one: the code of a split without a second device.
    "split": (["device"] * 5, ["cpu:0", "cpu:0", "cpu:1", "cpu:1", "cpu:1"]),
    "split and streamed": (["disk"] * 5, ["cpu:0", "cpu:0", "cpu:1", "cpu:1", "cpu:1"]),
}


def placed(where: str, num_layers: int) -> Plan:
    stores, devices = WHERE[where]
    # Capitals: the layer's other matrices are kept there too.
    homes = [
        LayerHome(device=d, experts=Store(s.lower()), matrices=Store(s.lower()) if s.isupper() else Store.DEVICE)
        for s, d in zip(stores, devices, strict=True)
    ]
    return Plan(layers=homes[:num_layers], devices=[], host_bytes_used=0, host_bytes_moved=0, disk_bytes_moved=0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    root = tmp_path_factory.mktemp("placement")
    values = config_values(num_hidden_layers=5)
    tensors = stored_tensors(random_model(values))
    base = write_checkpoint(root / "base", values, tensors)
    # As published: everything in bfloat16 but the router.
    published = {key: value if ".gate.wg." in key else value.bfloat16() for key, value in tensors.items()}
    source = write_checkpoint(root / "published", values, published)
    made = {
        "base": base,
        "instruct": write_instruct(root / "instruct"),
        "distil": write_distil(root / "distil"),
    }
    for precision in (Precision.INT4, Precision.FP8):
        made[precision.value] = root / precision.value
        Conversion(source, made[precision.value], precision, lambda progress: None).run()
    return made


@pytest.fixture(scope="module")
def resident(folders: Mapping[str, Path]) -> Mapping[str, bytes]:
    """What each draws with everything in memory."""
    return {name: outcome(load(folder, None), name) for name, folder in folders.items()}


def load(folder: Path, where: str | None) -> Pipeline:
    with pytest.MonkeyPatch.context() as patch:

        def planned(folder: Path, config: object, precision: Precision, machine: object) -> Plan:
            num_layers = len(config.layers)  # type: ignore[attr-defined]
            return placed(where, num_layers) if where else resident_plan(num_layers, "cpu")

        patch.setattr(pipeline_module, "plan_folder", planned)
        # A converted folder keeps its own precision.
        return Pipeline.load(folder, precision=stored_precision(folder) or Precision.FLOAT32)


def outcome(pipeline: Pipeline, name: str) -> bytes:
    """A caption where the checkpoint writes one, then the picture of it."""
    caption = thought = None
    if name in ("instruct", "distil"):
        written = pipeline.expand("A red fox", seed=5)
        caption, thought = written.caption, written.thought
        assert (thought, caption) == (THOUGHT, CAPTION)
    request = TextToImage(
        prompt="A red fox",
        num_inference_steps=2,
        guidance_scale=5.0,
        thought=thought,
        caption=caption,
        width_px=128,
        height_px=128,
    )
    prefix = pipeline.prefill(request)
    *_, last = pipeline.denoise(prefix, seed=3)
    return pipeline.decode(last.latent, prefix).tobytes() + last.latent.numpy().tobytes()


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
