"""The shape of the published base checkpoint, as in its `config.json`. No weight depends on any other key."""

from collections.abc import Mapping
from typing import Any

PUBLISHED: Mapping[str, Any] = {
    "vocab_size": 133_120,
    "hidden_size": 4096,
    "intermediate_size": 3072,
    "moe_intermediate_size": 3072,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "attention_head_dim": 128,
    "max_position_embeddings": 22_800,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10_000.0,
    "use_qk_norm": True,
    "num_experts": 64,
    "use_mixed_mlp_moe": True,
    "num_shared_expert": 1,
    "moe_topk": 8,
    "vae_downsample_factor": [16, 16],
    "img_proj_type": "unet",
    "patch_size": 1,
    "patch_embed_hidden_dim": 1024,
    "image_base_size": 1024,
    "vae": {
        "in_channels": 3,
        "latent_channels": 32,
        "block_out_channels": [128, 256, 512, 1024, 1024],
        "layers_per_block": 2,
        "ffactor_spatial": 16,
        "ffactor_temporal": 4,
        "scaling_factor": 0.562679178327931,
        "downsample_match_channel": True,
        "upsample_match_channel": True,
    },
}
