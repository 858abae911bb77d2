"""Random checkpoints of the published shape: their configuration, their tensors, and the folder that holds them.

A folder is what `danqing model convert` would write of one: the same files, keys, types and order. Without a tokenizer,
since only the network is measured.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from danqing.hunyuan_image3.checkpoint_folder import CONFIG_FILE
from danqing.hunyuan_image3.checksums import checksum, write_checksums
from danqing.hunyuan_image3.config import ModelConfig, parse_model_config
from danqing.hunyuan_image3.converted_files import index_of, plan_shards, write_json, write_shard
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.published import PUBLISHED
from danqing.hunyuan_image3.quantization_config import own_quantization_config
from danqing.hunyuan_image3.safetensors_writer import TYPE_NAMES
from danqing.hunyuan_image3.stored_tensors import INDEX_FILE, StoredTensor
from danqing.hunyuan_image3.weights import ROUNDED_EXPERTS, Places, meta_model

DISTILLED = {"cfg_distilled": True, "use_meanflow": True}
# Instruct has the shape of the base checkpoint.
CHECKPOINTS: Mapping[str, Mapping[str, Any]] = {"distil": DISTILLED, "instruct": {}, "base": {}}
TINY: Mapping[str, Any] = {
    **PUBLISHED,
    "vocab_size": 512,
    "hidden_size": 64,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "attention_head_dim": 16,
    "num_experts": 8,
    "moe_topk": 2,
    "patch_embed_hidden_dim": 32,
    "image_base_size": 128,
    # One frame: a processor that emulates bfloat16 takes minutes for the published four.
    "vae": {
        **PUBLISHED["vae"],
        "block_out_channels": [32] * 5,
        "layers_per_block": 0,
        "ffactor_temporal": 1,
        "kernel_dims": 2,
    },
}


def config_values(checkpoint: str, precision: Precision, *, tiny: bool, num_layers: int | None) -> dict[str, Any]:
    """`config.json` of a random checkpoint; `num_layers` instead of all."""
    values: dict[str, Any] = {**(TINY if tiny else PUBLISHED), **CHECKPOINTS[checkpoint]}
    if num_layers:
        values["num_hidden_layers"] = num_layers
    if precision in ROUNDED_EXPERTS:
        values["quantization_config"] = own_quantization_config(precision)
    return values


def random_tensors(config: ModelConfig, precision: Precision) -> Iterator[StoredTensor]:
    """Every tensor of a checkpoint in this precision. Reading one makes it; signals stay at unit scale."""
    places = Places(meta_model(config, precision=precision, activations=precision.dtype))
    for i, (key, place) in enumerate(list(places)):
        parts = places.expert_parts(key)
        if parts and precision in ROUNDED_EXPERTS:
            # Widened, a matrix has the inputs that its packed numbers stand for.
            shape = (place.shape[0], place.shape[1] * (2 if precision is Precision.INT4 else 1))
            made = {
                suffix: _stored(key + suffix, part, partial(_rounded, shape, precision, suffix, i))
                for suffix, part in parts.items()
            }
            numbers = made.pop("")
            yield StoredTensor(
                key=key,
                shape=numbers.shape,
                type_name=numbers.type_name,
                path=numbers.path,
                read=numbers.read,
                parts=made,
            )
        else:
            yield _stored(key, place, partial(_plain, key, tuple(place.shape), place.dtype, i))


def write_random(folder: Path, values: Mapping[str, Any], precision: Precision, say: Callable[[str], None]) -> None:
    """Write a checkpoint of this configuration tensor by tensor. Raises FileExistsError, and OSError without room."""
    config = parse_model_config(values)
    plan = plan_shards(random_tensors(config, precision), config, precision)
    needed = sum(shard.num_bytes for shard in plan)
    folder.mkdir(parents=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(f"{folder}: {needed / 1e9:.1f} GB are needed and {free / 1e9:.1f} GB are free")
    digests = {}
    for shard in plan:
        digests[shard.name] = write_shard(folder, shard, precision)
        say(f"wrote {shard.name}, {shard.num_bytes / 1e9:.2f} GB of {needed / 1e9:.1f} GB")
    write_json(folder / INDEX_FILE, index_of(plan))
    write_json(folder / CONFIG_FILE, values)
    write_checksums(folder, digests | {name: checksum(folder / name) for name in (INDEX_FILE, CONFIG_FILE)})


def _stored(key: str, place: Tensor, read: Callable[[], Tensor]) -> StoredTensor:
    return StoredTensor(
        key=key, shape=list(place.shape), type_name=TYPE_NAMES[place.dtype], path=Path("random"), read=read
    )


def _plain(key: str, shape: tuple[int, ...], dtype: torch.dtype, turn: int) -> Tensor:
    if len(shape) == 1:
        return torch.full(shape, 0.0 if key.endswith("bias") else 1.0, dtype=dtype)
    # Rows in another order make another matrix, at the speed of copying.
    return _normal(shape, dtype).roll(turn, 0)


def _rounded(shape: tuple[int, ...], precision: Precision, suffix: str, turn: int) -> Tensor:
    return _rounded_parts(shape, precision)[suffix].roll(turn, 0)


@cache
def _normal(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(len(shape))
    deviation = torch.Size(shape[1:]).numel() ** -0.5
    return torch.empty(shape, dtype=dtype).normal_(std=deviation, generator=generator)


@cache
def _rounded_parts(shape: tuple[int, ...], precision: Precision) -> Mapping[str, Tensor]:
    return ROUNDED_EXPERTS[precision].rounded(_normal(shape, torch.float32))
