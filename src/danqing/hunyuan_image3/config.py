"""Configuration of a checkpoint folder: `config.json` and `generation_config.json`, checked once, then frozen.

Keys that only training or image understanding read are ignored. A key that changes the arithmetic in a way this
runtime does not implement is an error that names it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from danqing.hunyuan_image3.errors import CheckpointError

T = TypeVar("T")
PATCH_SIZES = (1, 2, 4)
TEMPLATES = ("pretrain", "instruct")


@dataclass(frozen=True, kw_only=True)
class LayerConfig:
    """One decoder layer's feed-forward part. `num_experts` 0 means a dense MLP of `width`."""

    num_experts: int
    num_experts_per_token: int
    num_shared_experts: int
    width: int


@dataclass(frozen=True, kw_only=True)
class VaeConfig:
    """The autoencoder. `output_patch_size` s: pictures enter and leave as s x s pixel blocks (1 in published weights).

    `kernel_dims` is 3 where the file stores 3x3x3 kernels, 2 where it stores only their middle 3x3 slices.
    """

    pixel_channels: int
    latent_channels: int
    block_channels: tuple[int, ...]
    num_blocks: int
    spatial_factor: int
    temporal_factor: int
    scaling_factor: float
    shift_factor: float
    match_channels_down: bool
    match_channels_up: bool
    output_patch_size: int
    kernel_dims: int


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The transformer and its image ends."""

    vocabulary_size: int
    hidden_size: int
    num_query_heads: int
    num_kv_heads: int
    head_size: int
    max_positions: int
    rms_norm_eps: float
    rope_base: float
    layers: tuple[LayerConfig, ...]
    patch_size: int
    patch_embed_hidden_size: int
    base_size_px: int
    vae: VaeConfig

    @property
    def pixels_per_token(self) -> int:
        """Side of the square of pixels that one image token stands for."""
        return self.vae.spatial_factor * self.patch_size


@dataclass(frozen=True, kw_only=True)
class TextSampling:
    """How a next token is chosen: the likeliest at `temperature` 0, otherwise sampled.

    Sampling is among the `top_k` likeliest (0: all), and of those the fewest that together hold `top_p`.
    """

    temperature: float
    top_k: int
    top_p: float


GREEDY = TextSampling(temperature=0.0, top_k=0, top_p=1.0)


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """The checkpoint's own defaults; `recaption` says whether it has learned to rewrite a prompt in detail.

    Guidance acts at noise levels above `guidance_min_sigma` only.
    """

    num_steps: int
    guidance_scale: float
    guidance_min_sigma: float
    flow_shift: float
    template: str
    recaption: bool
    sampling: TextSampling


def read_json(path: Path) -> dict[str, Any]:
    """Read one JSON object. Raises CheckpointError naming the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: file not found; a checkpoint folder must contain it") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: must hold a JSON object")
    return value


def _take(values: Mapping[str, Any], key: str, kind: type[T], *, where: str = "config.json") -> T:
    if key not in values:
        raise CheckpointError(f"{where}: key {key!r} is missing")
    value = values[key]
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)  # type: ignore[return-value]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise CheckpointError(f"{where}: key {key!r} must be {kind.__name__}, not {value!r}")
    return value


def _count(values: Mapping[str, Any], key: str, *, where: str = "config.json", minimum: int = 1) -> int:
    number = _take(values, key, int, where=where)
    if number < minimum:
        raise CheckpointError(f"{where}: key {key!r} must be at least {minimum}, not {number}")
    return number


def _require(values: Mapping[str, Any], key: str, allowed: Any, *, default: Any, where: str = "config.json") -> None:
    value = values.get(key, default)
    if value != allowed:
        raise CheckpointError(f"{where}: {key!r} is {value!r}; this runtime implements only {allowed!r}")


def _per_layer(values: Mapping[str, Any], key: str, num_layers: int) -> list[int]:
    """Published configs hold a number, or a list with one number per layer."""
    value = values.get(key)
    numbers: list[Any] = value if isinstance(value, list) else [value] * num_layers
    if len(numbers) != num_layers or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in numbers):
        raise CheckpointError(f"config.json: key {key!r} must be a positive integer or a list of {num_layers} of them")
    return numbers


def _layers(values: Mapping[str, Any]) -> tuple[LayerConfig, ...]:
    num_layers = _count(values, "num_hidden_layers")
    num_dense = _count({"moe_layer_num_skipped": 0, **values}, "moe_layer_num_skipped", minimum=0)
    experts = _per_layer(values, "num_experts", num_layers)
    top_k = _per_layer(values, "moe_topk", num_layers)
    shared = _per_layer(values, "num_shared_expert", num_layers)
    width = _per_layer(values, "moe_intermediate_size", num_layers)
    if any(k > n for k, n in zip(top_k, experts, strict=True)):
        raise CheckpointError("config.json: key 'moe_topk' must not exceed 'num_experts'")
    dense = LayerConfig(
        num_experts=0, num_experts_per_token=0, num_shared_experts=0, width=_count(values, "intermediate_size")
    )
    return tuple(
        dense
        if i < num_dense
        else LayerConfig(
            num_experts=experts[i], num_experts_per_token=top_k[i], num_shared_experts=shared[i], width=width[i]
        )
        for i in range(num_layers)
    )


def _vae(values: Mapping[str, Any]) -> VaeConfig:
    where = "config.json vae"
    # Absent in published files, or null.
    values = {"output_patch_size": 1, "kernel_dims": 3, **values, "shift_factor": values.get("shift_factor") or 0.0}
    channels = _take(values, "block_out_channels", list, where=where)
    if not channels or not all(isinstance(width, int) and width > 0 for width in channels):
        raise CheckpointError(f"{where}: key 'block_out_channels' must be a list of positive integers")
    for narrow, wide in pairwise([_count(values, "latent_channels", where=where), *reversed(channels)]):
        # Between levels channels are repeated or averaged four by four.
        if max(4 * narrow, wide) % min(4 * narrow, wide) or max(narrow, 4 * wide) % min(narrow, 4 * wide):
            raise CheckpointError(
                f"{where}: 'block_out_channels' and 'latent_channels': {narrow} and {wide} do not divide"
            )
    kernel_dims = _count(values, "kernel_dims", where=where)
    temporal_factor = _count(values, "ffactor_temporal", where=where)
    if kernel_dims not in (2, 3) or (kernel_dims == 2 and temporal_factor != 1):
        raise CheckpointError(f"{where}: 'kernel_dims' must be 3, or 2 where ffactor_temporal is 1")
    return VaeConfig(
        pixel_channels=_count(values, "in_channels", where=where),
        latent_channels=_count(values, "latent_channels", where=where),
        block_channels=tuple(channels),
        num_blocks=_count(values, "layers_per_block", where=where, minimum=0),
        spatial_factor=_count(values, "ffactor_spatial", where=where),
        temporal_factor=temporal_factor,
        scaling_factor=_take(values, "scaling_factor", float, where=where),
        shift_factor=_take(values, "shift_factor", float, where=where),
        match_channels_down=_take(values, "downsample_match_channel", bool, where=where),
        match_channels_up=_take(values, "upsample_match_channel", bool, where=where),
        output_patch_size=_count(values, "output_patch_size", where=where),
        kernel_dims=kernel_dims,
    )


def parse_model_config(values: Mapping[str, Any]) -> ModelConfig:
    """Check the contents of `config.json`. Raises CheckpointError naming the key."""
    _require(values, "use_qk_norm", True, default=False)
    _require(values, "norm_topk_prob", True, default=True)
    _require(values, "hidden_act", "silu", default="silu")
    _require(values, "img_proj_type", "unet", default="unet")
    _require(values, "use_mixed_mlp_moe", True, default=False)
    _require(values, "moe_drop_tokens", False, default=False)
    _require(values, "tie_word_embeddings", False, default=False)
    _require(values, "cfg_distilled", False, default=False)
    _require(values, "use_meanflow", False, default=False)
    rope_scaling = _take({**values, "rope_scaling": values.get("rope_scaling") or {}}, "rope_scaling", dict)
    _require(rope_scaling, "alpha", 1.0, default=1.0, where="config.json rope_scaling")
    _require(rope_scaling, "factor", 1.0, default=1.0, where="config.json rope_scaling")
    vae = _vae(_take(values, "vae", dict))
    patch_size = _count(values, "patch_size")
    if patch_size not in PATCH_SIZES:
        raise CheckpointError(f"config.json: 'patch_size' is {patch_size}; allowed are {PATCH_SIZES}")
    if values.get("vae_downsample_factor") != [vae.spatial_factor] * 2:
        raise CheckpointError("config.json: 'vae_downsample_factor' must be twice the vae's 'ffactor_spatial'")
    hidden_size = _count(values, "hidden_size")
    num_query_heads = _count(values, "num_attention_heads")
    num_kv_heads = _count(values, "num_key_value_heads")
    if num_query_heads % num_kv_heads:
        raise CheckpointError("config.json: key 'num_key_value_heads' must divide 'num_attention_heads'")
    return ModelConfig(
        vocabulary_size=_count(values, "vocab_size"),
        hidden_size=hidden_size,
        num_query_heads=num_query_heads,
        num_kv_heads=num_kv_heads,
        head_size=_count({"attention_head_dim": hidden_size // num_query_heads, **values}, "attention_head_dim"),
        max_positions=_count(values, "max_position_embeddings"),
        rms_norm_eps=_take(values, "rms_norm_eps", float),
        rope_base=_take(values, "rope_theta", float),
        layers=_layers(values),
        patch_size=patch_size,
        patch_embed_hidden_size=_count(values, "patch_embed_hidden_dim"),
        base_size_px=_count(values, "image_base_size"),
        vae=vae,
    )


def parse_generation_config(values: Mapping[str, Any]) -> GenerationConfig:
    """Check the contents of `generation_config.json`. Raises CheckpointError naming the key."""
    where = "generation_config.json"
    template = _take(values, "sequence_template", str, where=where)
    if template not in TEMPLATES:
        raise CheckpointError(f"{where}: 'sequence_template' is {template!r}; allowed are {TEMPLATES}")
    _require(values, "repetition_penalty", 1.0, default=1.0, where=where)
    # `recaption` is ours: of the published weights, which lack it, those with the `instruct` template have learned to.
    # So is `guidance_min_sigma`; without it guidance acts in every step, as published.
    values = {"recaption": template == "instruct", "do_sample": False, "guidance_min_sigma": 0.0, **values}
    guidance_min_sigma = _take(values, "guidance_min_sigma", float, where=where)
    if not 0 <= guidance_min_sigma <= 1:
        raise CheckpointError(f"{where}: 'guidance_min_sigma' is {guidance_min_sigma}; it must lie between 0 and 1")
    return GenerationConfig(
        num_steps=_count(values, "diff_infer_steps", where=where),
        guidance_scale=_take(values, "diff_guidance_scale", float, where=where),
        guidance_min_sigma=guidance_min_sigma,
        flow_shift=_take(values, "flow_shift", float, where=where),
        template=template,
        recaption=_take(values, "recaption", bool, where=where),
        sampling=_sampling(values, where=where) if _take(values, "do_sample", bool, where=where) else GREEDY,
    )


def _sampling(values: Mapping[str, Any], *, where: str) -> TextSampling:
    values = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, **values}
    temperature, top_p = (_take(values, key, float, where=where) for key in ("temperature", "top_p"))
    if temperature <= 0 or not 0 < top_p <= 1:
        raise CheckpointError(f"{where}: 'temperature' must be above 0 and 'top_p' above 0 and at most 1")
    return TextSampling(temperature=temperature, top_k=_count(values, "top_k", where=where, minimum=0), top_p=top_p)
