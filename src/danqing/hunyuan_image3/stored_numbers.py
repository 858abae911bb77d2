"""The numbers that stored tensors mean: as floating-point numbers, in the shape of the parameter that they go to."""

from collections.abc import Mapping

import torch
from torch import Tensor

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.quantization_config import WAY_OUT
from danqing.hunyuan_image3.stored_tensors import SCALE, StoredTensor

CPU = torch.device("cpu")


def copy_meant(key: str, value: Tensor, parts: Mapping[str, Tensor], *, target: Tensor) -> None:
    """Copy what is meant into its place. Raises CheckpointError as `meant` does, and for another shape."""
    value = meant(key, _middle_slice(key, value, target), parts, device=target.device)
    target.copy_(shaped(key, value, target))


def copy_stored(stored: StoredTensor, *, target: Tensor) -> None:
    """Read a tensor of a checkpoint and copy what it means into its place. Raises CheckpointError."""
    parts = {suffix: part.read() for suffix, part in stored.parts.items()}
    copy_meant(stored.key, stored.read(), parts, target=target)


def meant(key: str, value: Tensor, parts: Mapping[str, Tensor], *, device: torch.device = CPU) -> Tensor:
    """The floating-point numbers that are meant, widened to float32 where they have a scale."""
    if not value.is_floating_point():
        raise CheckpointError(
            f"key {key!r} holds {str(value.dtype).removeprefix('torch.')}, not floating-point numbers; where these are"
            f" quantised weights, {WAY_OUT}"
        )
    if unknown := parts.keys() - {SCALE}:
        raise CheckpointError(f"key {key + min(unknown)!r} belongs to no weight in int4")
    scale = row_scale(key, parts.get(SCALE), num_rows=len(value), device=device)
    if scale is None:
        return value.to(device)
    return value.to(device).float() * scale.view(-1, *[1] * (value.ndim - 1))


def _middle_slice(key: str, value: Tensor, parameter: Tensor) -> Tensor:
    """One frame only ever meets the middle slice of a 3x3x3 kernel."""
    if key.startswith("vae.") and value.ndim == 5 and parameter.ndim == 4:
        return value[:, :, value.shape[2] // 2]
    return value


def shaped(key: str, value: Tensor, parameter: Tensor) -> Tensor:
    if value.shape != parameter.shape:
        raise CheckpointError(
            f"key {key!r} has shape {list(value.shape)}; config.json asks for {list(parameter.shape)}"
        )
    return value


def row_scale(key: str, scale: Tensor | None, *, num_rows: int, device: torch.device) -> Tensor | None:
    """The scale of each row, float32 [rows], from one of the whole tensor or of every row."""
    if scale is None:
        return None
    if scale.numel() not in (1, num_rows):
        raise CheckpointError(
            f"key {key + SCALE!r} has shape {list(scale.shape)}; readable are a scale a tensor and a scale a row,"
            f" else {WAY_OUT}"
        )
    return scale.to(device, torch.float32).flatten().expand(num_rows)
