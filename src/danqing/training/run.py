"""`make train-mini`: the stages of the recipe in order, each resumable, all in one folder.

Stages: `code` (linear latents and vocabulary), `shards` (training examples), `transformer`, `autoencoder`, `export`.
Every stage takes up where a killed run left it.
"""

import random
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from tqdm import trange

from danqing.hunyuan_image3.precision import fastest_dtype
from danqing.hunyuan_image3.prompt_template import PromptTemplate
from danqing.hunyuan_image3.tokenizer import Tokenizer
from danqing.training.autoencoder_training import AutoencoderTraining
from danqing.training.dataset import Dataset, draw_samples, make_shard
from danqing.training.export import export
from danqing.training.latents import LinearCode, half_size
from danqing.training.recipe import BASE_SIZE_PX, BUCKET_SHARES, NUM_RATIOS, Recipe
from danqing.training.scenes.captions import caption
from danqing.training.scenes.scene import sample_scene
from danqing.training.transformer_training import TransformerTraining
from danqing.training.vocabulary_training import train_tokenizer

NUM_CODE_PICTURES = 1500
NUM_VOCABULARY_CAPTIONS = 40_000

app = typer.Typer(add_completion=False, help=__doc__)
Workdir = Annotated[Path, typer.Option(help="Folder of the run: shards, states, logs, the finished checkpoint.")]


@app.command()
def code(workdir: Workdir) -> None:
    """Fit the linear code and the vocabulary."""
    recipe = Recipe()
    checkpoint = workdir / "mini"
    checkpoint.mkdir(parents=True, exist_ok=True)
    if not (checkpoint / "tokenizer.json").exists():
        rng = random.Random(0)
        captions = [caption(sample_scene(rng), rng) for _ in range(NUM_VOCABULARY_CAPTIONS)]
        tokenizer = train_tokenizer(
            captions, vocabulary_size=recipe.vocabulary_size, base_size_px=BASE_SIZE_PX, num_ratios=NUM_RATIOS
        )
        tokenizer.save(str(checkpoint / "tokenizer.json"))
    if not (workdir / "code.safetensors").exists():
        rng = random.Random(1)
        share = NUM_CODE_PICTURES // len(BUCKET_SHARES)
        rows = []
        for width_px, height_px in BUCKET_SHARES:
            pictures, _ = draw_samples(rng, share, width_px=width_px, height_px=height_px)
            rows.append(half_size(np.ascontiguousarray(pictures)))
        LinearCode.fit(rows, num_channels=recipe.latent_channels).save(workdir / "code.safetensors")


@app.command()
def shards(workdir: Workdir, count: int = 100, first: int = 0) -> None:
    """Draw training examples, 1,024 a shard."""
    folder = workdir / "shards"
    folder.mkdir(parents=True, exist_ok=True)
    linear = LinearCode.load(workdir / "code.safetensors")
    for shard_index in trange(first, first + count, unit="shard", mininterval=10):
        make_shard(shard_index, folder, code=linear)


@app.command()
def transformer(workdir: Workdir, num_samples: int = 400_000, device: str = "cpu") -> None:
    """Train the transformer until it has seen `num_samples` in all."""
    where = torch.device(device)
    template = PromptTemplate(
        Tokenizer.from_file(workdir / "mini" / "tokenizer.json"), name="pretrain", base_size_px=BASE_SIZE_PX
    )
    training = TransformerTraining(Recipe(), workdir, dtype=fastest_dtype(where), device=where)
    training.run(Dataset(workdir / "shards", template), num_samples=num_samples)


@app.command()
def autoencoder(workdir: Workdir, num_pictures: int = 20_000, device: str = "cpu") -> None:
    """Train the convolutional decoder and encoder on the linear code."""
    where = torch.device(device)
    training = AutoencoderTraining(Recipe(), workdir, dtype=fastest_dtype(where), device=where)
    training.run(num_pictures=num_pictures)


@app.command(name="export")
def export_checkpoint(workdir: Workdir) -> None:
    """Write the finished checkpoint folder in the published layout."""
    export(Recipe(), workdir)


@app.command(name="all")
def all_stages(workdir: Workdir) -> None:
    """Every stage in order."""
    code(workdir)
    shards(workdir)
    transformer(workdir)
    autoencoder(workdir)
    export_checkpoint(workdir)


if __name__ == "__main__":
    app()
