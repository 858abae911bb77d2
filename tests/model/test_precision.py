"""Precisions: their names, their types, and the devices that refuse them."""

import pytest
import torch

from danqing.hunyuan_image3 import precision
from danqing.hunyuan_image3.errors import UnsupportedDevice
from danqing.hunyuan_image3.precision import Precision, check_support, fastest_precision


@pytest.mark.parametrize(
    ("name", "dtype", "emulated"),
    [
        ("float32", torch.float32, torch.float32),
        ("bfloat16", torch.bfloat16, torch.bfloat16),
        ("fp8", torch.bfloat16, torch.bfloat16),
        ("int8", torch.bfloat16, torch.float32),
        ("int4", torch.bfloat16, torch.float32),
    ],
)
def test_a_name_says_how_weights_are_held_and_what_activations_are(
    monkeypatch: pytest.MonkeyPatch, name: str, dtype: torch.dtype, emulated: torch.dtype
) -> None:
    assert str(Precision(name)) == name
    assert Precision(name).dtype == dtype
    for native, activations in ((True, dtype), (False, emulated)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda native=native: {"avx512_bf16": native})
        assert Precision(name).activations(torch.device("cpu")) == activations


@pytest.mark.parametrize(
    ("features", "expected"),
    [({"avx512_bf16": True}, "bfloat16"), ({"avx512_bf16": False, "avx2": True}, "float32"), ({}, "float32")],
)
def test_the_fastest_precision_of_a_processor_follows_its_features(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert fastest_precision(torch.device("cpu")) == expected
    assert fastest_precision(torch.device("mps")) == "float32"


@pytest.mark.parametrize(
    ("device", "capability", "allowed"),
    [
        ("cuda", (9, 0), True),
        ("cuda", (8, 9), True),
        ("cuda", (8, 0), False),
        ("mps", None, False),
        ("cpu", None, True),
    ],
)
def test_a_device_without_fp8_is_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, capability: tuple[int, int] | None, allowed: bool
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert precision.supports_fp8(torch.device(device)) == allowed
    check_support(Precision.BFLOAT16, torch.device(device))
    if not allowed:
        with pytest.raises(UnsupportedDevice, match=rf"compute capability 8\.9.*{device}"):
            check_support(Precision.FP8, torch.device(device))
