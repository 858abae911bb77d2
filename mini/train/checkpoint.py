"""The checkpoint folder in the published layout: config files, vocabulary, weights."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from torch import Tensor

from danqing.hunyuan_image3.config import ModelConfig, parse_model_config
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.tokenizer import SPECIAL_TOKENS
from danqing.hunyuan_image3.vae import Vae
from mini.train.recipe import BASE_SIZE_PX, GUIDANCE_SCALE, NUM_STEPS, PIXELS_PER_TOKEN, Recipe

TEXT_TAGS = ("<think>", "</think>", "<recaption>", "</recaption>", "<answer>", "</answer>", "<pad>")


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
        "diff_infer_steps": NUM_STEPS,
        "diff_guidance_scale": GUIDANCE_SCALE,
        "guidance_min_sigma": 0.6,
        "guidance_max_push": 1.0,
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


def train_tokenizer(captions: Iterable[str], *, vocabulary_size: int, base_size_px: int, num_ratios: int) -> Tokenizer:
    """Learn merges from captions; ids of special tokens follow those of text."""
    ratios = [f"<img_ratio_{i}>" for i in range(num_ratios)]
    special = [*SPECIAL_TOKENS.values(), *TEXT_TAGS, f"<img_size_{base_size_px}>", *ratios]
    tokenizer = Tokenizer(BPE())
    # Capitals stand alone, so that the words on signs are spelled letter by letter.
    capitals = pre_tokenizers.Split(Regex("[A-Z]"), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([capitals, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=vocabulary_size - len(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    return tokenizer


def checkpoint_names(name: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    """A parameter under its name in the file; stacked experts come apart."""
    if ".mlp.experts." not in name:
        yield name, value
        return
    stem, kind = name.rsplit(".", 1)
    for e, expert in enumerate(value):
        yield f"{stem}.{e}.{kind}.weight", expert


def export(recipe: Recipe, workdir: Path, *, network: Mapping[str, Tensor], finished: Path | None = None) -> Path:
    """Write the config files and `model.safetensors` of the run's `mini/` folder: the given transformer and the trained
    autoencoder in bfloat16, routers in float32. What the run did not train comes from a finished checkpoint."""
    folder, autoencoder = workdir / "mini", workdir / "autoencoder.pt"
    for name, content in (("config", config_json(recipe)), ("generation_config", generation_config_json())):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    tensors = load_file(finished / "model.safetensors") if finished else {}
    trained = {name: value for name, value in network.items() if not name.startswith("vae.")}
    if autoencoder.exists() or not finished:
        vae = torch.load(autoencoder, map_location="cpu")["vae"]
        trained |= {f"vae.{name}": value for name, value in vae.items()}
    for name, parameter in trained.items():
        for key, value in checkpoint_names(name, parameter):
            dtype = torch.float32 if key.endswith(".gate.wg.weight") else torch.bfloat16
            tensors[key] = value.detach().to(dtype).contiguous()
    path = folder / "model.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)  # The library makes it readable for its owner alone.
    return path


def load_autoencoder(folder: Path) -> Vae:
    """The encoder and decoder of a finished checkpoint, in float32."""
    vae = Vae(parse_model_config(read_json(folder / "config.json")).vae)
    tensors = load_file(folder / "model.safetensors")
    vae.load_state_dict(
        {name.removeprefix("vae."): value for name, value in tensors.items() if name.startswith("vae.")}
    )
    return vae
