"""Weights: every stored tensor to its parameter, strict in both directions.

Every name in the files maps to exactly one place in a parameter and every place is filled; anything else is an error
that names the key. Memory never exceeds the finished model plus one tensor, also where tensors are rounded to fp8.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from danqing.hunyuan_image3.config import ModelConfig
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.fp8_layers import make_fp8
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.quantisation import FP8, quantise
from danqing.hunyuan_image3.quantization_config import WAY_OUT
from danqing.hunyuan_image3.stored_tensors import stored_tensors

# As safetensors writes the type of `FP8`.
FP8_TYPE_NAME = "F8_E4M3"
ROUTER = re.compile(r"model\.layers\.\d+\.mlp\.gate\.wg\.weight")


class Places:
    """Where each checkpoint key goes: a whole parameter, or one expert's slice of a stacked one.

    Experts in fp8 have a buffer beside each parameter, named like it and `_scale`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._parameters: dict[str, Tensor] = {}
        self._scales: dict[str, Tensor] = {}
        scales = dict(model.named_buffers())
        for name, parameter in model.named_parameters():
            if ".mlp.experts." not in name:
                self._parameters[name] = parameter.data
                continue
            stem, kind = name.rsplit(".", 1)
            scale = scales.get(f"{name}_scale")
            for e in range(len(parameter)):
                key = f"{stem}.{e}.{kind}.weight"
                self._parameters[key] = parameter.data[e]
                if scale is not None:
                    self._scales[key] = scale[e]

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        return iter(self._parameters.items())

    def fill(self, key: str, value: Tensor, *, scale: Tensor | None = None) -> None:
        """Copy a tensor into its parameter, rounded to its type; one that comes with a scale is multiplied by it.

        Raises CheckpointError for an unknown or repeated key, a wrong shape, or integers.
        """
        parameter = self._parameters.pop(key, None)
        if parameter is None:
            raise CheckpointError(f"key {key!r} has no place in this architecture, or appears twice")
        value = _checked(key, value, parameter)
        row_scale = _row_scale(key, scale, num_rows=len(value), device=parameter.device)
        parameter_scale = self._scales.get(key)
        if parameter_scale is None:
            parameter.copy_(_scaled(value, row_scale))
            return
        if value.dtype != FP8:
            value, row_scale = quantise(_scaled(value.to(parameter.device).float(), row_scale))
        # Stored in fp8: as it is.
        parameter.copy_(value)
        parameter_scale.copy_(torch.ones_like(parameter_scale) if row_scale is None else row_scale)

    def finish(self) -> None:
        """Raises CheckpointError when a parameter was not filled."""
        if self._parameters:
            key = min(self._parameters)
            raise CheckpointError(
                f"key {key!r} is missing from the checkpoint ({len(self._parameters)} missing in all)"
            )


def empty_model(config: ModelConfig, *, precision: Precision, device: torch.device) -> HunyuanImage3:
    """The network with unset parameters, held as `precision` says."""
    with torch.device("meta"):
        model = HunyuanImage3(config)
        if precision is Precision.FP8:
            make_fp8(model.model)
    for name, parameter in model.named_parameters():
        if parameter.dtype != FP8:
            parameter.data = parameter.data.to(torch.float32 if ROUTER.fullmatch(name) else precision.dtype)
    return model.to_empty(device=device).requires_grad_(False).eval()


def load_model(
    folder: Path,
    config: ModelConfig,
    *,
    precision: Precision,
    device: torch.device,
    on_progress: Callable[[int, int], None] | None = None,
) -> HunyuanImage3:
    """Load a checkpoint, tensor by tensor. `on_progress(done, total)` counts parameters' places.

    Raises CheckpointError naming the key or file.
    """
    model = empty_model(config, precision=precision, device=device)
    places = Places(model)
    total = len(dict(places))
    for done, stored in enumerate(stored_tensors(folder), start=1):
        places.fill(stored.key, stored.read(), scale=stored.scale)
        if on_progress:
            on_progress(done, total)
    places.finish()
    return model


def holds_fp8_experts(folder: Path) -> bool:
    """Whether routed experts are stored in fp8, told from the headers."""
    return any(stored.type_name == FP8_TYPE_NAME and ".mlp.experts." in stored.key for stored in stored_tensors(folder))


def _checked(key: str, value: Tensor, parameter: Tensor) -> Tensor:
    """The tensor in the shape of its parameter. Raises CheckpointError for integers and for a wrong shape."""
    if not value.is_floating_point():
        raise CheckpointError(
            f"key {key!r} holds {str(value.dtype).removeprefix('torch.')}, not floating-point numbers; where these are"
            f" quantised weights, {WAY_OUT}"
        )
    # One frame only ever meets the middle slice of a 3x3x3 kernel.
    if key.startswith("vae.") and value.ndim == 5 and parameter.ndim == 4:
        value = value[:, :, value.shape[2] // 2]
    if value.shape != parameter.shape:
        raise CheckpointError(
            f"key {key!r} has shape {list(value.shape)}; config.json asks for {list(parameter.shape)}"
        )
    return value


def _row_scale(key: str, scale: Tensor | None, *, num_rows: int, device: torch.device) -> Tensor | None:
    """The scale of each row, float32 [rows], from one of the whole tensor or of every row."""
    if scale is None:
        return None
    if scale.numel() not in (1, num_rows):
        raise CheckpointError(
            f"key {key + '_scale'!r} has shape {list(scale.shape)}; readable are a scale a tensor and a scale a row,"
            f" else {WAY_OUT}"
        )
    return scale.to(device, torch.float32).flatten().expand(num_rows)


def _scaled(value: Tensor, row_scale: Tensor | None) -> Tensor:
    """The numbers that are meant; widened to float32 for their scale."""
    if row_scale is None:
        return value
    return value.to(row_scale.device).float() * row_scale.view(-1, *[1] * (value.ndim - 1))
