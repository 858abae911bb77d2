"""Every number of the `mini` recipe in one place, and the config files they become. Knows nothing of how to train.

Why these numbers: docs/log.md.
"""

from dataclasses import dataclass, replace
from typing import Any

from danqing.hunyuan_image3.config import ModelConfig, parse_model_config
from danqing.hunyuan_image3.resolution import Buckets
from danqing.training.scenes.grid import Grid

BASE_SIZE_PX = 512
PIXELS_PER_TOKEN = 64
NUM_RATIOS = 33

BUCKETS = Buckets(base_size_px=BASE_SIZE_PX, pixels_per_token=PIXELS_PER_TOKEN)
# How often each grid is drawn; the wire's presets first, then all the others.
PRESET_SHARES = {Grid(10, 6): 0.40, Grid(8, 8): 0.27, Grid(6, 10): 0.08, Grid(9, 7): 0.08, Grid(7, 9): 0.07}
OTHERS = [
    grid
    for bucket in BUCKETS.usable
    if (grid := Grid(bucket.width_px // PIXELS_PER_TOKEN, bucket.height_px // PIXELS_PER_TOKEN)) not in PRESET_SHARES
]
GRID_SHARES = PRESET_SHARES | {grid: 0.10 / len(OTHERS) for grid in OTHERS}


FINISHING_RATE = 0.1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Sizes and rates; the defaults are the shipped checkpoint's."""

    vocabulary_size: int = 1536
    hidden_size: int = 256
    num_layers: int = 6
    num_experts: int = 4
    num_experts_per_token: int = 2
    expert_width: int = 240
    patch_embed_hidden_size: int = 320
    latent_channels: int = 128
    vae_block_channels: tuple[int, ...] = (64, 64, 128)
    # Few points at high resolution: on a CPU the wide layers are cheap only where the grid is coarse.
    vae_output_patch_size: int = 16

    batch_size: int = 64
    muon_rate: float = 0.02
    adam_rate: float = 1.5e-3
    adam_betas: tuple[float, float] = (0.9, 0.98)
    num_warmup_steps: int = 100
    decay_share: float = 0.3
    ema_decay: float = 0.998
    balance_weight: float = 0.01
    text_weight: float = 0.02
    # The probe reads what this layer writes.
    probe_layer_index: int = 2
    probe_weight: float = 0.1
    # How much more the cells of things count than those of the place.
    thing_weight: float = 3.0
    # Short prompts with their detailed captions: one such batch every so many steps.
    steps_per_text_batch: int = 2
    recaption_weight: float = 0.3
    unconditional_share: float = 0.1
    # Noise levels are logit-normal. Layout is decided above sigma 0.9, so the centre is high; what is left of the noise
    # below 0.4 stays in the picture as grain, so the spread is wide.
    noise_centre: float = 1.0
    noise_spread: float = 1.4


def finishing(recipe: Recipe) -> Recipe:
    """To go on from a finished checkpoint: lower rates, falling from the start; the probe was thrown away."""
    return replace(
        recipe,
        muon_rate=FINISHING_RATE * recipe.muon_rate,
        adam_rate=FINISHING_RATE * recipe.adam_rate,
        decay_share=1.0,
        probe_weight=0.0,
    )


def config_json(recipe: Recipe) -> dict[str, Any]:
    """`config.json` in the published form."""
    num_layers = recipe.num_layers
    return {
        "architectures": ["HunyuanImage3ForCausalMM"],
        "model_type": "hunyuan_image_3_moe",
        "vocab_size": recipe.vocabulary_size,
        "hidden_size": recipe.hidden_size,
        "intermediate_size": recipe.expert_width,
        "moe_intermediate_size": [recipe.expert_width] * num_layers,
        "num_hidden_layers": num_layers,
        "num_attention_heads": recipe.hidden_size // 64,
        "num_key_value_heads": recipe.hidden_size // 128,
        "attention_head_dim": 64,
        "hidden_act": "silu",
        "max_position_embeddings": 16384,
        "rms_norm_eps": 1e-05,
        "use_qk_norm": True,
        "use_rotary_pos_emb": True,
        "rope_theta": 10000.0,
        "rope_scaling": {"alpha": 1.0, "factor": 1.0, "type": "custom"},
        "norm_type": "rms",
        "num_experts": recipe.num_experts,
        "use_mixed_mlp_moe": True,
        "num_shared_expert": [1] * num_layers,
        "moe_topk": [recipe.num_experts_per_token] * num_layers,
        "norm_topk_prob": True,
        "moe_drop_tokens": False,
        "moe_layer_num_skipped": 0,
        "vae_downsample_factor": [PIXELS_PER_TOKEN, PIXELS_PER_TOKEN],
        "img_proj_type": "unet",
        "patch_size": 1,
        "patch_embed_hidden_dim": recipe.patch_embed_hidden_size,
        "image_base_size": BASE_SIZE_PX,
        "vae": {
            "in_channels": 3,
            "out_channels": 3,
            "latent_channels": recipe.latent_channels,
            "block_out_channels": list(recipe.vae_block_channels),
            "layers_per_block": 0,
            "ffactor_spatial": PIXELS_PER_TOKEN,
            "ffactor_temporal": 1,
            "scaling_factor": 1.0,
            "shift_factor": None,
            "downsample_match_channel": True,
            "upsample_match_channel": True,
            "output_patch_size": recipe.vae_output_patch_size,
            "kernel_dims": 2,
        },
    }


def generation_config_json() -> dict[str, Any]:
    """`generation_config.json` in the published form."""
    return {
        "diff_infer_steps": 28,
        "diff_guidance_scale": 7.5,
        "guidance_min_sigma": 0.6,
        "flow_shift": 3.0,
        "sequence_template": "pretrain",
        "use_system_prompt": "None",
        "bot_task": "image",
        "drop_think": False,
        "recaption": True,
    }


def model_config(recipe: Recipe) -> ModelConfig:
    """The recipe as the runtime reads it."""
    return parse_model_config(config_json(recipe))
