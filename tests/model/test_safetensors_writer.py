"""Files written tensor by tensor are read by the library, whatever their sizes and the order of writing."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from danqing.hunyuan_image3.safetensors_writer import Header, SafetensorsWriter

TENSORS = {
    "odd bytes": torch.arange(7, dtype=torch.uint8),
    "odd halves": torch.randn(3, 1).bfloat16(),
    "even": torch.randn(4, 6),
    "fp8": torch.randn(2, 5).to(torch.float8_e4m3fn),
    "scalar": torch.tensor(2.5),
    "int8": torch.arange(-8, 8, dtype=torch.int8).view(4, 4),
}


def headers(tensors: dict[str, Tensor]) -> list[Header]:
    return [Header(key, value.dtype, list(value.shape)) for key, value in tensors.items()]


@pytest.mark.parametrize("keys", [list(TENSORS), list(reversed(TENSORS))])
def test_every_tensor_comes_back(tmp_path: Path, keys: list[str]) -> None:
    path = tmp_path / "model.safetensors"
    with SafetensorsWriter(path, headers(TENSORS)) as writer:
        for key in keys:
            assert not path.exists()
            writer.add(key, TENSORS[key])
        digest = writer.finish()
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [child.name for child in tmp_path.iterdir()] == ["model.safetensors"]
    read = load_file(path)
    assert read.keys() == TENSORS.keys()
    for key, value in TENSORS.items():
        assert torch.equal(read[key].reshape(-1).view(torch.uint8), value.reshape(-1).view(torch.uint8)), key
        assert (read[key].dtype, read[key].shape) == (value.dtype, value.shape)


def test_tensors_lie_in_the_order_announced_with_odd_sizes_last(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with SafetensorsWriter(path, headers(TENSORS)) as writer:
        for key, value in TENSORS.items():
            writer.add(key, value)
        writer.finish()
    with safe_open(path, framework="pt") as file:
        assert file.offset_keys() == ["even", "int8", "scalar", "odd halves", "odd bytes", "fp8"]


def test_an_incomplete_file_has_no_name(tmp_path: Path) -> None:
    with SafetensorsWriter(tmp_path / "model.safetensors", headers(TENSORS)) as writer:
        writer.add("even", TENSORS["even"])
        with pytest.raises(ValueError, match="was not written"):
            writer.finish()
    assert not (tmp_path / "model.safetensors").exists()


def test_a_tensor_that_is_not_as_announced_is_an_error(tmp_path: Path) -> None:
    announced = headers({"even": TENSORS["even"]})
    with (
        SafetensorsWriter(tmp_path / "model.safetensors", announced) as writer,
        pytest.raises(ValueError, match="even"),
    ):
        writer.add("even", TENSORS["even"].bfloat16())
