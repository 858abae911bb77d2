"""Training of `mini`: the stages of the recipe, all in one folder. See mini/README.md.

Stages: `code` (linear latents and vocabulary), `shards` (training examples), `transformer`, `autoencoder`, `export`,
`size-choice`. Every stage resumes where a killed run left it.
"""

import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from danqing.hunyuan_image3.precision import fastest_precision
from mini.train.autoencoder.training import AutoencoderTraining
from mini.train.checkpoint import export, train_tokenizer
from mini.train.dataset import Dataset
from mini.train.latents import BLOCK_PX, SHIPPED_CODE, LinearCode
from mini.train.optimiser import Team
from mini.train.recipe import BASE_SIZE_PX, GRID_SHARES, NUM_RATIOS, PRESET_SHARES, Budget, Recipe, finishing
from mini.train.shards import draw_pictures, make_shards, sample_scenes, training_text
from mini.train.size_choice import fit_size_choice
from mini.train.transformer import TransformerTraining
from mini.world.layout import sample_scene

# Commands run from the root of the repository.
SHIPPED = Path("src/danqing/checkpoints/mini")
NUM_CODE_PICTURES = 2500
NUM_VOCABULARY_CAPTIONS = 40_000

app = typer.Typer(add_completion=False, help=__doc__)
NumSamples = Annotated[int | None, typer.Option(help="Samples to see in all, earlier runs included.")]
Seconds = Annotated[float | None, typer.Option(help="Seconds to train in all, earlier runs included.")]
Workdir = Annotated[Path, typer.Option(help="Folder of the run: shards, states, logs, the finished checkpoint.")]


@app.command()
def code(
    workdir: Workdir,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="Take the shipped checkpoint's instead, to continue its training.")
    ] = False,
) -> None:
    """Fit the linear code and the vocabulary."""
    recipe = Recipe()
    checkpoint = workdir / "mini"
    checkpoint.mkdir(parents=True, exist_ok=True)
    if shipped:
        shutil.copy(SHIPPED / "tokenizer.json", checkpoint)
        shutil.copy(SHIPPED_CODE, workdir / "code.safetensors")
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
            draw_pictures(sample_scenes(rng, round(NUM_CODE_PICTURES * share), grid), BLOCK_PX)
            for grid, share in PRESET_SHARES.items()
        ]
        LinearCode.fit(pictures, num_channels=recipe.latent_channels).save(workdir / "code.safetensors")


@app.command()
def shards(
    workdir: Workdir,
    count: int = 100,
    first: int = 0,
    num_processes: int = 1,
    tries: Annotated[int, typer.Option(help="Scenes to choose the hardest of; 2 to continue a finished training.")] = 1,
) -> None:
    """Draw training examples, 1,024 a shard."""
    make_shards(workdir, range(first, first + count), num_processes=num_processes, tries=tries)


@app.command()
def transformer(
    workdir: Workdir,
    num_samples: NumSamples = None,
    seconds: Seconds = None,
    batch_size: int = Recipe.batch_size,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A finished checkpoint to continue from, at reduced rates.")
    ] = None,
    fused: Annotated[bool, typer.Option(help="Compile the layers; a CPU needs a C++ compiler for it.")] = False,
    device: str = "cpu",
) -> None:
    """Train the transformer, by default on 400,000 samples."""
    where = torch.device(device)
    recipe = replace(Recipe() if checkpoint is None else finishing(Recipe()), batch_size=batch_size)
    team = Team.from_environment()
    training = TransformerTraining(
        recipe, workdir, dtype=fastest_precision(where).dtype, device=where, team=team, fused=fused
    )
    if checkpoint is not None:
        training.start_from(checkpoint)
    training.run(Dataset(workdir / "shards", device=where), budget(num_samples, seconds, otherwise=400_000))


@app.command()
def autoencoder(
    workdir: Workdir,
    num_samples: NumSamples = None,
    seconds: Seconds = None,
    num_processes: Annotated[int, typer.Option(help="Processes that draw pictures; with none, this one does.")] = 0,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="A finished checkpoint to continue from; one that draws half the sides gets a level more."),
    ] = None,
    device: str = "cpu",
) -> None:
    """Train the convolutional decoder and encoder on the linear code, by default on 20,000 pictures."""
    where = torch.device(device)
    training = AutoencoderTraining(
        Recipe(), workdir, dtype=fastest_precision(where).dtype, device=where, checkpoint=checkpoint
    )
    training.run(budget(num_samples, seconds, otherwise=20_000), num_processes=num_processes)


def budget(num_samples: int | None, seconds: float | None, *, otherwise: int) -> Budget:
    """The budget that the options ask for."""
    return Budget(num_samples=num_samples or (None if seconds else otherwise), seconds=seconds)


@app.command(name="export")
def export_checkpoint(
    workdir: Workdir,
    checkpoint: Annotated[
        Path | None, typer.Option(help="A finished checkpoint; it gives what this run did not train.")
    ] = None,
) -> None:
    """Write the finished checkpoint folder in the published layout."""
    recipe = Recipe()
    network: dict[str, torch.Tensor] = {}
    if checkpoint is None or (workdir / "transformer.pt").exists():
        network = TransformerTraining(recipe, workdir, dtype=torch.float32, device=torch.device("cpu")).network()
    export(recipe, workdir, network=network, finished=checkpoint)


@app.command()
def size_choice(checkpoint: Annotated[Path, typer.Option(help="The finished checkpoint folder to change.")]) -> None:
    """Fit the choice of a size for requests that name none; changes no picture of a given size."""
    share_right = fit_size_choice(checkpoint)
    typer.echo(f"right on unseen texts: {share_right:.2f}")


@app.command(name="all")
def all_stages(workdir: Workdir) -> None:
    """Every stage in order."""
    code(workdir)
    shards(workdir)
    transformer(workdir)
    autoencoder(workdir)
    export_checkpoint(workdir)
    size_choice(workdir / "mini")


if __name__ == "__main__":
    app()
