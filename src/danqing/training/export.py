"""From training state to a checkpoint folder in the published layout. Knows both sides' names, trains nothing."""

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from danqing.training.recipe import Recipe, config_json, generation_config_json
from danqing.training.transformer_training import TransformerTraining


def checkpoint_names(name: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    """A parameter under its name in the file; stacked experts come apart."""
    if ".mlp.experts." not in name:
        yield name, value
        return
    stem, kind = name.rsplit(".", 1)
    for e, expert in enumerate(value):
        yield f"{stem}.{e}.{kind}.weight", expert


def export(recipe: Recipe, workdir: Path) -> Path:
    """Write the config files and `model.safetensors` of `mini/`: the averaged transformer and the autoencoder in
    bfloat16, routers in float32."""
    folder = workdir / "mini"
    for name, content in (("config", config_json(recipe)), ("generation_config", generation_config_json())):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    training = TransformerTraining(recipe, workdir, dtype=torch.float32, device=torch.device("cpu"))
    vae = torch.load(workdir / "autoencoder.pt", map_location="cpu")["vae"]
    parameters = {**training.network(), **{f"vae.{name}": value for name, value in vae.items()}}
    tensors = {}
    for name, parameter in parameters.items():
        for key, value in checkpoint_names(name, parameter):
            dtype = torch.float32 if key.endswith(".gate.wg.weight") else torch.bfloat16
            tensors[key] = value.detach().to(dtype).contiguous()
    path = folder / "model.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(0o644)  # The library makes it readable for its owner alone.
    return path
