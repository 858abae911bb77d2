"""`make train-mini`: the stages of the recipe in order, each resumable, all in one folder.

Stages: `code` (linear latents and vocabulary), `shards` (training examples), `transformer`, `autoencoder`, `export`.
Every stage takes up where a killed run left it.
"""

import random
from pathlib import Path
from typing import Annotated

import torch
import typer
from tqdm import trange

from danqing.hunyuan_image3.precision import fastest_dtype
from danqing.hunyuan_image3.prompt_template import PromptTemplate
from danqing.hunyuan_image3.tokenizer import Tokenizer
from danqing.training.autoencoder_training import AutoencoderTraining
from danqing.training.dataset import Dataset, draw_pictures, draw_scenes, make_shard, training_text
from danqing.training.evaluation.commands import app as evaluation_commands
from danqing.training.export import export
from danqing.training.latents import BLOCK_PX, LinearCode
from danqing.training.recipe import BASE_SIZE_PX, GRID_SHARES, NUM_RATIOS, PRESET_SHARES, Recipe
from danqing.training.scenes.layout import sample_scene
from danqing.training.team import Team
from danqing.training.transformer_training import TransformerTraining
from danqing.training.vocabulary_training import train_tokenizer

NUM_CODE_PICTURES = 2500
NUM_VOCABULARY_CAPTIONS = 40_000

app = typer.Typer(add_completion=False, help=__doc__)
app.add_typer(evaluation_commands)
Workdir = Annotated[Path, typer.Option(help="Folder of the run: shards, states, logs, the finished checkpoint.")]


@app.command()
def code(workdir: Workdir) -> None:
    """Fit the linear code and the vocabulary."""
    recipe = Recipe()
    checkpoint = workdir / "mini"
    checkpoint.mkdir(parents=True, exist_ok=True)
    if not (checkpoint / "tokenizer.json").exists():
        rng = random.Random(0)
        grids = rng.choices(list(GRID_SHARES), list(GRID_SHARES.values()), k=NUM_VOCABULARY_CAPTIONS)
        texts = (training_text(sample_scene(rng, grid), rng) for grid in grids)
        tokenizer = train_tokenizer(
            texts, vocabulary_size=recipe.vocabulary_size, base_size_px=BASE_SIZE_PX, num_ratios=NUM_RATIOS
        )
        tokenizer.save(str(checkpoint / "tokenizer.json"))
    if not (workdir / "code.safetensors").exists():
        rng = random.Random(1)
        pictures = [
            draw_pictures(draw_scenes(rng, round(NUM_CODE_PICTURES * share), grid), BLOCK_PX)
            for grid, share in PRESET_SHARES.items()
        ]
        LinearCode.fit(pictures, num_channels=recipe.latent_channels).save(workdir / "code.safetensors")


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
    team = Team.from_environment()
    training = TransformerTraining(Recipe(), workdir, dtype=fastest_dtype(where), device=where, team=team)
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
