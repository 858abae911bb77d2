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
from danqing.hunyuan_image3.stored_tensors import stored_tensors

ROUTER = re.compile(r"model\.layers\.\d+\.mlp\.gate\.wg\.weight")


class Places:
    """Where each checkpoint key goes: a whole parameter, or one expert's slice of a stacked one.

    Experts in fp8 have a buffer beside each parameter, named like it and `_scale`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._places: dict[str, Tensor] = {}
        self._scales: dict[str, Tensor] = {}
        scales = dict(model.named_buffers())
        for name, parameter in model.named_parameters():
            if ".mlp.experts." not in name:
                self._places[name] = parameter.data
                continue
            stem, kind = name.rsplit(".", 1)
            scale = scales.get(f"{name}_scale")
            for e in range(len(parameter)):
                key = f"{stem}.{e}.{kind}.weight"
                self._places[key] = parameter.data[e]
                if scale is not None:
                    self._scales[key] = scale[e]

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        return iter(self._places.items())

    def fill(self, key: str, value: Tensor) -> None:
        """Copy a tensor to its place, rounded to the type there.

        Raises CheckpointError for an unknown or repeated key, a wrong shape, or integers.
        """
        place = self._places.pop(key, None)
        if place is None:
            raise CheckpointError(f"key {key!r} has no place in this architecture, or appears twice")
        if not value.is_floating_point():
            raise CheckpointError(
                f"key {key!r} holds {str(value.dtype).removeprefix('torch.')}, not floating-point numbers"
            )
        # One frame only ever meets the middle slice of a 3x3x3 kernel.
        if key.startswith("vae.") and value.ndim == 5 and place.ndim == 4:
            value = value[:, :, value.shape[2] // 2]
        if value.shape != place.shape:
            raise CheckpointError(
                f"key {key!r} has shape {list(value.shape)}; config.json asks for {list(place.shape)}"
            )
        if key in self._scales:
            value, scale = quantise(value.to(place.device).float())
            self._scales[key].copy_(scale)
        place.copy_(value)

    def finish(self) -> None:
        """Raises CheckpointError when a parameter was not filled."""
        if self._places:
            key = min(self._places)
            raise CheckpointError(f"key {key!r} is missing from the checkpoint ({len(self._places)} missing in all)")


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
        places.fill(stored.key, stored.read())
        if on_progress:
            on_progress(done, total)
    places.finish()
    return model
