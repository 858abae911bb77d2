"""`config.json` of a checkpoint: the network's shape, checked once, then frozen.

Keys that only training or image understanding read are ignored. A key that changes the arithmetic in a way this
runtime does not implement is an error that names it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.json_fields import count, require, take
from danqing.hunyuan_image3.quantization_config import check_quantization_config

logger = logging.getLogger(__name__)

PATCH_SIZES = (1, 2, 4)


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
    """The transformer and its image ends.

    `cfg_distilled`: guidance is told to the network in a token instead of computed from two branches.
    `use_meanflow`: the network is also told the next step's time, and predicts the mean velocity up to there.
    """

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
    cfg_distilled: bool
    use_meanflow: bool
    vae: VaeConfig

    @property
    def pixels_per_token(self) -> int:
        """Side of the square of pixels that one image token stands for."""
        return self.vae.spatial_factor * self.patch_size

    @property
    def condition_tokens(self) -> tuple[str, ...]:
        """What stands between the prefix and the image and tells a step's conditions, in this order."""
        guidance = ("<guidance>",) if self.cfg_distilled else ()
        next_time = ("<timestep_r>",) if self.use_meanflow else ()
        return ("<timestep>", *guidance, *next_time)

    @property
    def num_condition_tokens(self) -> int:
        """How many tokens those are."""
        return len(self.condition_tokens)


def _per_layer(values: Mapping[str, Any], key: str, num_layers: int) -> list[int]:
    """Published configs hold a number, or a list with one number per layer."""
    value = values.get(key)
    numbers: list[Any] = value if isinstance(value, list) else [value] * num_layers
    if len(numbers) != num_layers or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in numbers):
        raise CheckpointError(f"config.json: key {key!r} must be a positive integer or a list of {num_layers} of them")
    return numbers


def _layers(values: Mapping[str, Any]) -> tuple[LayerConfig, ...]:
    num_layers = count(values, "num_hidden_layers")
    num_dense = count({"moe_layer_num_skipped": 0, **values}, "moe_layer_num_skipped", minimum=0)
    experts = _per_layer(values, "num_experts", num_layers)
    top_k = _per_layer(values, "moe_topk", num_layers)
    shared = _per_layer(values, "num_shared_expert", num_layers)
    width = _per_layer(values, "moe_intermediate_size", num_layers)
    if any(k > n for k, n in zip(top_k, experts, strict=True)):
        raise CheckpointError("config.json: key 'moe_topk' must not exceed 'num_experts'")
    dense = LayerConfig(
        num_experts=0, num_experts_per_token=0, num_shared_experts=0, width=count(values, "intermediate_size")
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
    channels = take(values, "block_out_channels", list, where=where)
    if not channels or not all(isinstance(width, int) and width > 0 for width in channels):
        raise CheckpointError(f"{where}: key 'block_out_channels' must be a list of positive integers")
    for narrow, wide in pairwise([count(values, "latent_channels", where=where), *reversed(channels)]):
        # Between levels channels are repeated or averaged four by four.
        if max(4 * narrow, wide) % min(4 * narrow, wide) or max(narrow, 4 * wide) % min(narrow, 4 * wide):
            raise CheckpointError(
                f"{where}: 'block_out_channels' and 'latent_channels': {narrow} and {wide} do not divide"
            )
    kernel_dims = count(values, "kernel_dims", where=where)
    temporal_factor = count(values, "ffactor_temporal", where=where)
    if kernel_dims not in (2, 3) or (kernel_dims == 2 and temporal_factor != 1):
        raise CheckpointError(f"{where}: 'kernel_dims' must be 3, or 2 where ffactor_temporal is 1")
    return VaeConfig(
        pixel_channels=count(values, "in_channels", where=where),
        latent_channels=count(values, "latent_channels", where=where),
        block_channels=tuple(channels),
        num_blocks=count(values, "layers_per_block", where=where, minimum=0),
        spatial_factor=count(values, "ffactor_spatial", where=where),
        temporal_factor=temporal_factor,
        scaling_factor=take(values, "scaling_factor", float, where=where),
        shift_factor=take(values, "shift_factor", float, where=where),
        match_channels_down=take(values, "downsample_match_channel", bool, where=where),
        match_channels_up=take(values, "upsample_match_channel", bool, where=where),
        output_patch_size=count(values, "output_patch_size", where=where),
        kernel_dims=kernel_dims,
    )


# Keys that change the arithmetic, the only value implemented, and the published default.
_ONLY: tuple[tuple[str, Any, Any], ...] = (
    ("use_qk_norm", True, False),
    ("norm_topk_prob", True, True),
    ("hidden_act", "silu", "silu"),
    ("img_proj_type", "unet", "unet"),
    ("use_mixed_mlp_moe", True, False),
    ("tie_word_embeddings", False, False),
    ("use_rotary_pos_emb", True, True),
    ("rope_type", "2d", "2d"),
    ("position_embedding_xdrope", False, False),
    ("use_cla", False, False),
    ("use_mla", False, False),
    ("attention_bias", False, False),
    ("mlp_bias", False, False),
    ("group_limited_greedy", False, False),
)


def _switch(values: Mapping[str, Any], key: str) -> bool:
    """Read a key that is off where it is absent or null."""
    return take({key: False if values.get(key) is None else values[key]}, key, bool)


def _check_arithmetic(values: Mapping[str, Any]) -> None:
    """Refuse, by name, every value that asks for arithmetic this runtime does not have."""
    for key, allowed, default in _ONLY:
        # Published configs write null for what they leave at its default.
        require({key: default if values.get(key) is None else values[key]}, key, allowed, default=default)
    if values.get("routed_scaling_factor") not in (None, False, 1.0):
        require(values, "routed_scaling_factor", 1.0, default=1.0)
    rope_scaling = take({**values, "rope_scaling": values.get("rope_scaling") or {}}, "rope_scaling", dict)
    require(rope_scaling, "alpha", 1.0, default=1.0, where="config.json rope_scaling")
    require(rope_scaling, "factor", 1.0, default=1.0, where="config.json rope_scaling")
    if _switch(values, "moe_drop_tokens"):
        logger.info("config.json: 'moe_drop_tokens' is true; no token is dropped, as in the published fused experts")


def parse_model_config(values: Mapping[str, Any]) -> ModelConfig:
    """Check the contents of `config.json`. Raises CheckpointError naming the key."""
    check_quantization_config(values)
    _check_arithmetic(values)
    vae = _vae(take(values, "vae", dict))
    patch_size = count(values, "patch_size")
    if patch_size not in PATCH_SIZES:
        raise CheckpointError(f"config.json: 'patch_size' is {patch_size}; allowed are {PATCH_SIZES}")
    if values.get("vae_downsample_factor") != [vae.spatial_factor] * 2:
        raise CheckpointError("config.json: 'vae_downsample_factor' must be twice the vae's 'ffactor_spatial'")
    cfg_distilled, use_meanflow = (_switch(values, key) for key in ("cfg_distilled", "use_meanflow"))
    if use_meanflow and not cfg_distilled:
        raise CheckpointError(
            "config.json: 'use_meanflow' is true and 'cfg_distilled' is not; it works with that alone"
        )
    hidden_size = count(values, "hidden_size")
    num_query_heads = count(values, "num_attention_heads")
    num_kv_heads = count(values, "num_key_value_heads")
    if num_query_heads % num_kv_heads:
        raise CheckpointError("config.json: key 'num_key_value_heads' must divide 'num_attention_heads'")
    return ModelConfig(
        vocabulary_size=count(values, "vocab_size"),
        hidden_size=hidden_size,
        num_query_heads=num_query_heads,
        num_kv_heads=num_kv_heads,
        head_size=count({"attention_head_dim": hidden_size // num_query_heads, **values}, "attention_head_dim"),
        max_positions=count(values, "max_position_embeddings"),
        rms_norm_eps=take(values, "rms_norm_eps", float),
        rope_base=take(values, "rope_theta", float),
        layers=_layers(values),
        patch_size=patch_size,
        patch_embed_hidden_size=count(values, "patch_embed_hidden_dim"),
        base_size_px=count(values, "image_base_size"),
        cfg_distilled=cfg_distilled,
        use_meanflow=use_meanflow,
        vae=vae,
    )
