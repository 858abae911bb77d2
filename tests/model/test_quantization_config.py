"""Formats of others: fp8 with plain scales is read, everything else is refused by its name."""

from typing import Any

import pytest

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.quantization_config import check_quantization_config


def compressed(**weights: Any) -> dict[str, Any]:
    """A `compressed-tensors` entry with one group."""
    groups = {"group_0": {"weights": {"type": "float", "num_bits": 8, "strategy": "tensor", **weights}}}
    return {"quant_method": "compressed-tensors", "format": "some-format", "config_groups": groups}


@pytest.mark.parametrize(
    "quantization",
    [
        None,
        {"quant_method": "fp8"},
        {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": None},
        {"quant_method": "modelopt", "quant_algo": "FP8"},
        compressed(),
        compressed(strategy="channel"),
    ],
)
def test_fp8_with_a_scale_a_tensor_or_row_is_read(quantization: dict[str, Any] | None) -> None:
    check_quantization_config({"quantization_config": quantization})
    check_quantization_config({})


@pytest.mark.parametrize(
    ("quantization", "named"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "'bitsandbytes'"),
        ({"quant_method": "gptq", "bits": 4}, "'gptq'"),
        ({"quant_method": "awq"}, "'awq'"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, r"'fp8' in blocks of \[128, 128\]"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "'modelopt' as 'NVFP4'"),
        (compressed(strategy="group"), "'compressed-tensors' as 'some-format'"),
        (compressed(type="int"), "'compressed-tensors' as 'some-format'"),
        ({"quant_method": "compressed-tensors", "format": "x", "config_groups": {}}, "'compressed-tensors' as 'x'"),
        ({}, "None"),
    ],
)
def test_any_other_method_is_named_with_the_way_out(quantization: dict[str, Any], named: str) -> None:
    with pytest.raises(CheckpointError, match=rf"quantised by {named}.*danqing model convert"):
        check_quantization_config({"quantization_config": quantization})


def test_what_is_no_object_is_refused() -> None:
    with pytest.raises(CheckpointError, match="quantization_config"):
        check_quantization_config({"quantization_config": "fp8"})
