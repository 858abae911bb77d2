"""A recipe small enough to train for a few steps, and shards of noise for it.

Pictures need the emoji font: where it is missing, the tests that draw are skipped and say so.
"""

import random
from pathlib import Path

import pytest
import torch

from danqing.hunyuan_image3.prompt_template import PromptTemplate
from danqing.hunyuan_image3.tokenizer import Tokenizer
from mini.train.checkpoint import train_tokenizer
from mini.train.latents import BLOCK_PX, LinearCode
from mini.train.recipe import BASE_SIZE_PX, NUM_RATIOS, Recipe
from mini.train.shards import expansion_tokens, prompt_tokens
from mini.world.scene import Grid
from mini.world.sprites import EmojiFontMissing, emoji_font

CAPTIONS = ["a red cube on a beach", "two cats", "a dog and a hat in the snow", "a car", "the moon above a road"]


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return Recipe(
        vocabulary_size=340,
        hidden_size=128,
        num_layers=2,
        num_experts=3,
        num_experts_per_token=2,
        expert_width=16,
        patch_embed_hidden_size=32,
        latent_channels=16,
        vae_block_channels=(32, 32, 32, 32),
        batch_size=4,
        num_warmup_steps=2,
        probe_layer_index=0,
        steps_per_text_batch=2,
    )


@pytest.fixture(scope="session")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> Path:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    trained = train_tokenizer(
        CAPTIONS, vocabulary_size=recipe.vocabulary_size, base_size_px=BASE_SIZE_PX, num_ratios=NUM_RATIOS
    )
    trained.save(str(path))
    return path


@pytest.fixture(scope="session")
def template(tokenizer_file: Path) -> PromptTemplate:
    return PromptTemplate(Tokenizer.from_file(tokenizer_file), name="pretrain", base_size_px=BASE_SIZE_PX)


def write_shard(
    folder: Path, shard_index: int, grid: Grid, template: PromptTemplate, *, count: int, channels: int = 16
) -> None:
    """Noise; the labels of a sample hold its number, so that a test can tell where it went."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(shard_index)
    generator = torch.Generator().manual_seed(shard_index)
    texts = [rng.sample(CAPTIONS, 3) for _ in range(count)]
    pairs = [(rng.choice(CAPTIONS), f"A picture of {rng.choice(CAPTIONS)}.") for _ in range(count)]
    shard = {
        "latent": torch.randn(count, channels, grid.rows, grid.columns, generator=generator).bfloat16(),
        "labels": torch.arange(count, dtype=torch.int16)[:, None, None, None].repeat(1, grid.rows, grid.columns, 2),
        **prompt_tokens(texts, grid, template),
        **expansion_tokens(pairs, template),
    }
    torch.save(shard, folder / f"shard-{shard_index:05d}.pt")


@pytest.fixture
def shards(tmp_path: Path, template: PromptTemplate) -> Path:
    """Two shards of different grids."""
    folder = tmp_path / "shards"
    write_shard(folder, 0, Grid(10, 6), template, count=30)
    write_shard(folder, 1, Grid(8, 8), template, count=22)
    return folder


@pytest.fixture(scope="session")
def code() -> LinearCode:
    """Not fitted to anything, which takes seconds, but as invertible as a fitted one."""
    torch.manual_seed(0)
    basis_KC = torch.linalg.qr(torch.randn(3 * BLOCK_PX**2, 16)).Q.contiguous()
    return LinearCode(torch.rand(3 * BLOCK_PX**2) - 0.5, 2 * basis_KC, basis_KC.T.contiguous() / 2)


@pytest.fixture(scope="session")
def emoji_font_installed() -> None:
    try:
        emoji_font()
    except EmojiFontMissing as missing:
        pytest.skip(str(missing))
