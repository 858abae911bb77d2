"""From safetensors to parameters: one table of names, strict in both directions. Knows files, not arithmetic.

Every name in the files maps to exactly one place in a parameter and every place is filled; anything else is an error
that names the key. Memory never exceeds the finished model plus one tensor, also where tensors are rounded to fp8.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from danqing.hunyuan_image3.config import ModelConfig, read_json
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.fp8_layers import make_fp8
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.precision import FP8
from danqing.hunyuan_image3.quantisation import quantise

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
# Image understanding; text-to-image never reads them.
SKIPPED = ("vision_model.", "vision_aligner.")
EXPERT = re.compile(r"(model\.layers\.\d+\.mlp\.experts)\.(\d+)\.(gate_and_up_proj|down_proj)\.weight")
ROUTER = re.compile(r"model\.layers\.\d+\.mlp\.gate\.wg\.weight")


def shards(folder: Path) -> dict[Path, list[str]]:
    """The files of a checkpoint and the keys each must hold (empty list: whatever it holds)."""
    index = folder / INDEX_FILE
    if index.is_file():
        weight_map = read_json(index).get("weight_map")
        if not isinstance(weight_map, dict):
            raise CheckpointError(f"{index}: key 'weight_map' must map tensor names to files")
        files: dict[Path, list[str]] = {}
        for key, name in weight_map.items():
            if not isinstance(name, str) or Path(name).name != name:
                raise CheckpointError(f"{index}: the file of {key!r} must be a plain file name, not {name!r}")
            files.setdefault(folder / name, []).append(key)
        return files
    if not (folder / SINGLE_FILE).is_file():
        raise CheckpointError(f"{folder}: holds neither {SINGLE_FILE} nor {INDEX_FILE}")
    return {folder / SINGLE_FILE: []}


def tensors(folder: Path) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """Every key of the checkpoint and a function that reads its tensor. Raises CheckpointError naming file or key."""
    for path, expected in shards(folder).items():
        try:
            file = safe_open(path, framework="pt")
        except FileNotFoundError:
            raise CheckpointError(f"{path}: file not found, though {INDEX_FILE} names it") from None
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"{path}: cannot be read as safetensors: {error}") from None
        with file:
            for key in checked_keys(path, present=file.keys(), expected=expected):
                yield key, lambda file=file, key=key: file.get_tensor(key)  # type: ignore[misc]


def checked_keys(path: Path, *, present: Iterable[str], expected: Collection[str]) -> list[str]:
    """The keys of a file in order. Raises CheckpointError where it and the index disagree."""
    keys = sorted(present)
    missing, unknown = sorted(set(expected) - set(keys)), sorted(set(keys) - set(expected))
    if expected and missing:
        raise CheckpointError(f"{path}: key {missing[0]!r} is missing, though {INDEX_FILE} places it here")
    if expected and unknown:
        raise CheckpointError(f"{path}: holds key {unknown[0]!r}, though {INDEX_FILE} does not place it here")
    return keys


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
            raise CheckpointError(f"key {key!r} holds {str(value.dtype)[6:]}, not floating-point numbers")
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


def empty_model(config: ModelConfig, *, dtype: torch.dtype, device: torch.device) -> HunyuanImage3:
    """The network with unset parameters of `dtype`, except the routers, which are float32 always.

    In fp8 are the experts alone; the rest is then bfloat16.
    """
    with torch.device("meta"):
        model = HunyuanImage3(config)
        if dtype == FP8:
            make_fp8(model.model)
    rest = torch.bfloat16 if dtype == FP8 else dtype
    for name, parameter in model.named_parameters():
        if parameter.dtype != FP8:
            parameter.data = parameter.data.to(torch.float32 if ROUTER.fullmatch(name) else rest)
    return model.to_empty(device=device).requires_grad_(False).eval()


def load_model(
    folder: Path,
    config: ModelConfig,
    *,
    dtype: torch.dtype,
    device: torch.device,
    on_progress: Callable[[int, int], None] | None = None,
) -> HunyuanImage3:
    """Load a checkpoint, tensor by tensor. `on_progress(done, total)` counts parameters' places.

    Raises CheckpointError naming the key or file.
    """
    model = empty_model(config, dtype=dtype, device=device)
    places = Places(model)
    total = len(dict(places))
    wanted = ((key, read) for key, read in tensors(folder) if not key.startswith(SKIPPED))
    for done, (key, read) in enumerate(wanted, start=1):
        places.fill(key, read())
        if on_progress:
            on_progress(done, total)
    places.finish()
    return model
