"""The reader of a checkpoint's files: headers and numbers, and a name for everything that is wrong with a file."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tiny_checkpoints import write_sharded
from torch import Tensor

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.stored_tensors import stored_tensors

INDEX = "model.safetensors.index.json"


@pytest.fixture
def tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    names = ("lm_head.weight", "model.ln_f.weight", "model.wte.weight", "vae.decoder.conv_in.bias")
    return {name: torch.randn(64, 32).bfloat16() for name in names}


def headers(folder: Path) -> dict[str, tuple[list[int], str]]:
    return {tensor.key: (list(tensor.shape), tensor.type_name) for tensor in stored_tensors(folder)}


def write_single(folder: Path, tensors: dict[str, Tensor]) -> Path:
    save_file(tensors, folder / "model.safetensors")
    return folder


def halves(tensors: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    keys = sorted(tensors)
    return {
        "model-00001-of-00002.safetensors": {key: tensors[key] for key in keys[::2]},
        "model-00002-of-00002.safetensors": {key: tensors[key] for key in keys[1::2]},
    }


def edit_index(folder: Path, **weight_map: str) -> None:
    index = json.loads((folder / INDEX).read_text())
    index["weight_map"].update(weight_map)
    (folder / INDEX).write_text(json.dumps(index))


def test_headers_and_numbers_are_the_same_in_one_file_and_in_several(
    tmp_path: Path, tensors: dict[str, Tensor]
) -> None:
    for folder in (write_single(tmp_path, tensors), write_sharded(tmp_path / "sharded", halves(tensors))):
        assert headers(folder) == dict.fromkeys(tensors, ([64, 32], "BF16"))
        for stored in stored_tensors(folder):
            assert torch.equal(stored.read(), tensors[stored.key])


def test_image_understanding_is_left_out(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    extra = {"vision_model.encoder.weight": torch.zeros(3), "vision_aligner.layers.0.weight": torch.zeros(3)}
    assert headers(write_single(tmp_path, {**tensors, **extra})).keys() == tensors.keys()


def test_a_key_in_another_file_than_the_index_says_is_named(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    folder = write_sharded(tmp_path, halves(tensors))
    key = sorted(tensors)[0]
    edit_index(folder, **{key: "model-00002-of-00002.safetensors"})
    with pytest.raises(CheckpointError, match=key):
        headers(folder)


def test_a_key_that_the_index_does_not_know_is_named(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    shards = halves(tensors)
    folder = write_sharded(tmp_path, shards)
    file, held = next(iter(shards.items()))
    save_file({**held, "model.surprise": torch.zeros(1)}, folder / file)
    with pytest.raises(CheckpointError, match=r"model\.surprise"):
        headers(folder)


def test_a_missing_shard_is_named(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    folder = write_sharded(tmp_path, halves(tensors))
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model-00002-of-00002\.safetensors: file not found"):
        headers(folder)


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\xff" * 64, b"\x10" + bytes(7) + b"{}"])
def test_a_corrupt_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read"):
        headers(tmp_path)


def test_a_file_cut_short_is_named(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    path = write_single(tmp_path, tensors) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: cannot be read"):
        headers(tmp_path)


def test_a_folder_without_weights_says_which_files_it_may_hold(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"neither model\.safetensors nor {INDEX}"):
        headers(tmp_path)


@pytest.mark.parametrize("content", ["{}", '{"weight_map": []}', '{"weight_map": null}', "[]", "{", '"x"'])
def test_an_index_without_a_weight_map_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / INDEX).write_text(content)
    with pytest.raises(CheckpointError, match=INDEX):
        headers(tmp_path)


@pytest.mark.parametrize(
    "name", ["../model.safetensors", "/etc/passwd", "sub/model.safetensors", "..", ".", "", "a\0b", 3, None, ["x"]]
)
def test_the_index_cannot_lead_out_of_the_folder(tmp_path: Path, tensors: dict[str, Tensor], name: object) -> None:
    folder = tmp_path / "checkpoint"
    write_sharded(folder, halves(tensors))
    write_single(tmp_path, tensors)
    index = {"weight_map": {**json.loads((folder / INDEX).read_text())["weight_map"], "lm_head.weight": name}}
    (folder / INDEX).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"lm_head\.weight|cannot be read|file not found"):
        headers(folder)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 5301043712\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html><head><title>Access denied</title>", "a web page"),
        (b"<html>", "a web page"),
    ],
)
def test_a_stand_in_for_weights_is_told_from_a_broken_file(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"model\.safetensors: is {reason}"):
        headers(tmp_path)


def test_a_folder_in_the_hub_caches_form_is_read(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    repository = tmp_path / "models--tencent--HunyuanImage-3.0"
    blobs, snapshot = repository / "blobs", repository / "snapshots" / "0a1b2c"
    for folder in (blobs, snapshot):
        folder.mkdir(parents=True)
    for number, path in enumerate(sorted(write_sharded(tmp_path / "plain", halves(tensors)).iterdir())):
        path.rename(blobs / f"{number:064x}")
        (snapshot / path.name).symlink_to(Path("../../blobs") / f"{number:064x}")
    assert headers(snapshot) == dict.fromkeys(tensors, ([64, 32], "BF16"))
    for stored in stored_tensors(snapshot):
        assert torch.equal(stored.read(), tensors[stored.key])


def test_a_scale_belongs_to_its_weight_also_in_another_file(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    scale = torch.tensor(0.25)
    (first, held), (second, others) = halves(tensors).items()
    more = {"lm_head.weight_scale": scale, "lm_head.input_scale": torch.tensor(2.0)}
    folder = write_sharded(tmp_path, {first: held, second: {**others, **more}})
    parts = {stored.key: stored.parts for stored in stored_tensors(folder)}
    assert parts.keys() == tensors.keys()
    assert torch.equal(parts.pop("lm_head.weight")["_scale"].read(), scale)
    assert not any(parts.values())


def test_a_scale_without_its_weight_is_named(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    write_single(tmp_path, {**tensors, "model.surprise.weight_scale": torch.tensor(1.0)})
    with pytest.raises(CheckpointError, match=r"model\.surprise\.weight_scale"):
        headers(tmp_path)
