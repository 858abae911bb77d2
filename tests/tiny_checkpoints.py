"""Checkpoint folders small enough to make anew for each test, with random weights, in the published layout."""

import itertools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.prompt_template import CAPTION_TAG, Prompt, PromptTemplate
from danqing.hunyuan_image3.tokenizer import Tokenizer

PARITY = Path(__file__).parent / "data" / "parity"


def vae_values(**changes: Any) -> dict[str, Any]:
    """The `vae` part of a tiny `config.json`; `changes` replace keys."""
    return {
        "in_channels": 3,
        "out_channels": 3,
        "latent_channels": 16,
        "block_out_channels": [32, 32, 32, 32, 32],
        "layers_per_block": 0,
        "ffactor_spatial": 16,
        "ffactor_temporal": 1,
        "scaling_factor": 0.5,
        "shift_factor": None,
        "downsample_match_channel": True,
        "upsample_match_channel": True,
        "kernel_dims": 2,
        **changes,
    }


def config_values(**changes: Any) -> dict[str, Any]:
    """A tiny `config.json`; `changes` replace keys, and a change to None removes one."""
    values = {
        "vocab_size": 432,
        "hidden_size": 64,
        "intermediate_size": 48,
        "moe_intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "attention_head_dim": 16,
        "hidden_act": "silu",
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-5,
        "use_qk_norm": True,
        "rope_theta": 10000.0,
        "rope_scaling": {"alpha": 1.0, "factor": 1.0, "type": "custom"},
        "num_experts": 4,
        "use_mixed_mlp_moe": True,
        "num_shared_expert": 1,
        "moe_topk": 2,
        "norm_topk_prob": True,
        "moe_drop_tokens": False,
        "moe_layer_num_skipped": 0,
        "vae_downsample_factor": [16, 16],
        "img_proj_type": "unet",
        "patch_size": 1,
        "patch_embed_hidden_dim": 32,
        "image_base_size": 128,
        "vae": vae_values(),
        **changes,
    }
    return {key: value for key, value in values.items() if value is not None}


def random_model(values: Mapping[str, Any], *, seed: int = 0) -> HunyuanImage3:
    """A float32 network with random weights, routers and norms included."""
    torch.manual_seed(seed)
    model = HunyuanImage3(parse_model_config(values))
    for name, parameter in model.named_parameters():
        if "norm" in name and name.endswith("weight"):
            torch.nn.init.normal_(parameter, mean=1.0, std=0.1)
        elif parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5 if parameter.ndim != 3 else 0.1)
    return model.requires_grad_(False).eval()


def stored_tensors(model: HunyuanImage3) -> dict[str, Tensor]:
    """Every parameter under its name in a published file: one entry per expert."""
    tensors = {}
    for name, value in model.state_dict().items():
        if ".mlp.experts." in name:
            stem, kind = name.rsplit(".", 1)
            for e, expert in enumerate(value):
                tensors[f"{stem}.{e}.{kind}.weight"] = expert.clone()
        else:
            tensors[name] = value
    return tensors


def write_checkpoint(
    folder: Path,
    values: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    template: str = "pretrain",
    generation: Mapping[str, Any] | None = None,
) -> Path:
    """A whole folder with one weights file; `template` names the recorded case whose tokenizer and defaults it has.

    `generation` adds keys to `generation_config.json`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))
    published = json.loads((PARITY / template / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**published, **(generation or {})}))
    shutil.copy(PARITY / template / "tokenizer.json", folder)
    save_file(dict(tensors), folder / "model.safetensors")
    return folder


def write_answering(
    folder: Path,
    prompt: str,
    caption: str,
    *,
    end: str = "</recaption>",
    template: str = "pretrain",
    generation: Mapping[str, Any] | None = None,
) -> Path:
    """A random network whose head is solved so that it expands this prompt to this caption, and stops with `end`."""
    base_size_px = 128 if template == "pretrain" else 256
    values = config_values(image_base_size=base_size_px)
    model = random_model(values)
    tokenizer = Tokenizer.from_file(PARITY / template / "tokenizer.json")
    prompt_template = PromptTemplate(tokenizer, name=template, base_size_px=base_size_px)
    prefix = prompt_template.text_prefix(Prompt(text=prompt), tag=CAPTION_TAG)
    ids = [*tokenizer.encode(caption), tokenizer.special(end)]
    hidden = model.read([*prefix, *ids[:-1]], model.new_cache(len(prefix) + len(ids)))
    asked = model.model.ln_f(hidden[0, len(prefix) - 1 :])
    logits = 20 * torch.nn.functional.one_hot(torch.tensor(ids), values["vocab_size"]).float()
    model.lm_head.weight.copy_((torch.linalg.pinv(asked) @ logits).T)
    learned = {"recaption": True, "use_system_prompt": "None", "bot_task": "recaption", **(generation or {})}
    return write_checkpoint(folder, values, stored_tensors(model), template=template, generation=learned)


# What the tiny Instruct and Distil checkpoints write about every prompt. No token may come twice: a token decides what
# follows it. No log has words like those of the thought, so a test can look for it there.
THOUGHT = "Why zx?"
CAPTION = "A big plum on rocks"
SYSTEM_PROMPT = "Draw what is asked."
CHOSEN_SIZE_PX = (256, 192)  # width, height: size number 35
SAMPLING = {"do_sample": True, "temperature": 0.6, "top_k": 1024, "top_p": 0.95}


def write_instruct(folder: Path, *, generation: Mapping[str, Any] | None = None) -> Path:
    """A checkpoint like the published Instruct: it thinks THOUGHT, writes CAPTION and chooses CHOSEN_SIZE_PX.

    Its system prompt is named `en_unified`, and `system_prompt.py` in the folder holds the text.
    """
    asked = {"use_system_prompt": "en_unified", "bot_task": "think_recaption", **SAMPLING, **(generation or {})}
    _write_talking(folder, config_values(image_base_size=256, vocab_size=448), "instruct-system", asked)
    (folder / "system_prompt.py").write_text(f'unified_system_prompt_en = """\n{SYSTEM_PROMPT}\n"""\n')
    return folder


def write_distil(folder: Path, *, generation: Mapping[str, Any] | None = None) -> Path:
    """A checkpoint like the published Instruct-Distil, which writes the same and needs 8 steps of one branch."""
    values = config_values(image_base_size=256, vocab_size=448, cfg_distilled=True, use_meanflow=True)
    return _write_talking(folder, values, "distil", {**SAMPLING, **(generation or {})})


def _write_talking(folder: Path, values: Mapping[str, Any], case: str, generation: Mapping[str, Any]) -> Path:
    model = random_model(values)
    tokenizer = Tokenizer.from_file(PARITY / case / "tokenizer.json")
    chains = [
        [tokenizer.special("<think>"), *tokenizer.encode(THOUGHT), tokenizer.special("</think>")],
        [tokenizer.special("<recaption>"), *tokenizer.encode(CAPTION), tokenizer.special("</recaption>")],
        [tokenizer.image_size(256), tokenizer.image_ratio(35)],
    ]
    followed = [token for chain in chains for token in chain[:-1]]
    assert len(set(followed)) == len(followed), "a token would have two followers"
    # The last token outweighs all that attention and experts add, so that it alone decides what follows.
    model.model.wte.weight.mul_(100)
    model.lm_head.weight.zero_()
    for chain in chains:
        for token, follower in itertools.pairwise(chain):
            model.lm_head.weight[follower] += model.model.ln_f(model.model.wte.weight[token])
    return write_checkpoint(folder, values, stored_tensors(model), template=case, generation=generation)


def write_sharded(folder: Path, shards: Mapping[str, Mapping[str, Tensor]]) -> Path:
    """Weights in several files and the index that names them."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, tensors in shards.items():
        save_file(dict(tensors), folder / file)
    weight_map = {key: file for file, tensors in shards.items() for key in tensors}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder
