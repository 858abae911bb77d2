"""Scenes as training examples: latents, texts and layouts, made once, kept in shards, served in batches.

Every shard has one grid. The prompts of a batch differ in length: shorter ones are padded on the left, where a mask
hides the padding and relative positions do not feel it.

Letters: B samples, C channels, h x w cells, L text tokens.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from danqing.hunyuan_image3.prompt_template import Prompt, PromptTemplate
from danqing.training.latents import BLOCK_PX, LinearCode, to_pixels
from danqing.training.layout_labels import layout_labels
from danqing.training.recipe import BUCKETS, GRID_SHARES, PIXELS_PER_TOKEN
from danqing.training.scenes.captions import caption, short_prompt
from danqing.training.scenes.chinese import chinese_caption
from danqing.training.scenes.details import detailed_caption
from danqing.training.scenes.grid import Grid
from danqing.training.scenes.layout import sample_scene
from danqing.training.scenes.render import render
from danqing.training.scenes.scene import Scene

SHARD_SIZE = 1024
RENDER_BATCH = 64
CAPTIONS_PER_SCENE = 3
DETAILED_SHARE, CHINESE_SHARE = 0.12, 0.10
# The target of tokens that are not to be learned.
IGNORED = -1
# Batches are cut from pools of this many batches sorted by length.
BATCHES_PER_POOL = 8


@dataclass(frozen=True)
class Batch:
    """Text ids up to the token before `<timestep>`, conditional and unconditional, int64 [B, L], of which the first
    `num_pads_B` are padding; latents; layout labels [B, h, w, 2]."""

    token_ids_BL: Tensor
    unconditional_ids_BL: Tensor
    num_pads_B: Tensor
    latent_BChw: Tensor
    labels_Bhw2: Tensor

    def share(self, rank: int, size: int) -> "Batch":
        """The part of one of `size` processes."""
        return Batch(*(getattr(self, field.name)[rank::size] for field in fields(self)))


@dataclass(frozen=True)
class TextBatch:
    """Short prompts with their detailed captions, int64 [B, L], padded on the right; `targets_BL` holds the next
    token where it is part of the caption and IGNORED elsewhere."""

    token_ids_BL: Tensor
    targets_BL: Tensor


@dataclass(frozen=True)
class _Sample:
    shard: int
    index: int
    texts: Sequence[str]


def draw_scenes(rng: random.Random, count: int, grid: Grid) -> list[Scene]:
    """Random training scenes."""
    return [sample_scene(rng, grid) for _ in range(count)]


def draw_pictures(scenes: Sequence[Scene], cell_px: int) -> Tensor:
    """Float32 [B, 3, H, W] in -1..1."""
    return to_pixels(np.stack([render(scene, cell_px) for scene in scenes]))


def training_text(scene: Scene, rng: random.Random) -> str:
    """One of a scene's texts: mostly a caption, sometimes the detailed one, sometimes Chinese."""
    pick = rng.random()
    if pick < DETAILED_SHARE:
        return detailed_caption(scene)
    return chinese_caption(scene, rng) if pick < DETAILED_SHARE + CHINESE_SHARE else caption(scene, rng)


def make_shard(shard_index: int, folder: Path, *, code: LinearCode) -> Path:
    """Draw one shard; its content depends on its number alone. Written, then renamed."""
    path = folder / f"shard-{shard_index:05d}.pt"
    if path.exists():
        return path
    rng = random.Random(shard_index)
    grid = rng.choices(list(GRID_SHARES), list(GRID_SHARES.values()))[0]
    latents: list[Tensor] = []
    scenes: list[Scene] = []
    for _ in range(SHARD_SIZE // RENDER_BATCH):
        drawn = draw_scenes(rng, RENDER_BATCH, grid)
        latents.append(code.encode(draw_pictures(drawn, BLOCK_PX)).to(torch.bfloat16))
        scenes += drawn
    shard = {
        "latent": torch.cat(latents),
        "labels": torch.stack([layout_labels(scene) for scene in scenes]),
        "texts": [[training_text(scene, rng) for _ in range(CAPTIONS_PER_SCENE)] for scene in scenes],
        "recaptions": [_recaption(scene, rng) for scene in scenes],
        "grid": (grid.columns, grid.rows),
    }
    partial = path.with_suffix(".partial")
    torch.save(shard, partial)
    partial.rename(path)
    return path


def _recaption(scene: Scene, rng: random.Random) -> tuple[str, str]:
    pick = rng.random()
    if pick < 0.6:
        short = short_prompt(scene, rng)
    else:
        short = caption(scene, rng) if pick < 0.85 else chinese_caption(scene, rng)
    return short, detailed_caption(scene)


class Dataset:
    """All shards of a folder, in memory."""

    def __init__(self, folder: Path, template: PromptTemplate) -> None:
        self._folder, self._template = folder, template
        self._latents: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._recaptions: list[tuple[str, str]] = []
        self._loaded: set[Path] = set()
        self._samples: dict[Grid, list[_Sample]] = defaultdict(list)

    def refresh(self) -> int:
        """Take in shards that have appeared since; returns how many samples there are."""
        for path in sorted(self._folder.glob("shard-*.pt")):
            if path not in self._loaded:
                self._loaded.add(path)
                self._take(torch.load(path))
        return sum(len(latents) for latents in self._latents)

    def _take(self, shard: dict[str, Any]) -> None:
        grid = Grid(*shard["grid"])
        self._samples[grid] += [_Sample(len(self._latents), i, texts) for i, texts in enumerate(shard["texts"])]
        self._latents.append(shard["latent"])
        self._labels.append(shard["labels"])
        self._recaptions += [tuple(pair) for pair in shard["recaptions"]]

    def spread(self) -> Tensor:
        """The standard deviation of every latent channel, float32 [C]."""
        return torch.cat([latents.float().transpose(0, 1).flatten(1) for latents in self._latents[:4]], dim=1).std(1)

    def epoch(self, rng: random.Random, *, batch_size: int) -> Iterator[Batch]:
        """Every sample about once, each with one of its texts; the last few of a grid wait for the next epoch."""
        plan: list[tuple[Grid, list[tuple[_Sample, str]]]] = []
        for grid, members in self._samples.items():
            order = [(sample, rng.choice(sample.texts)) for sample in rng.sample(members, len(members))]
            pool_size = batch_size * BATCHES_PER_POOL
            for start in range(0, len(order), pool_size):
                pool = sorted(order[start : start + pool_size], key=lambda pair: len(pair[1]))
                batches = [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
                plan += [(grid, batch) for batch in batches if len(batch) >= batch_size // 2]
        rng.shuffle(plan)
        for grid, members_of_batch in plan:
            yield self._batch(grid, members_of_batch)

    def _batch(self, grid: Grid, members: Sequence[tuple[_Sample, str]]) -> Batch:
        bucket = BUCKETS.nearest(width_px=grid.columns * PIXELS_PER_TOKEN, height_px=grid.rows * PIXELS_PER_TOKEN)
        prompts = [Prompt(text=text) for _, text in members]
        ids = [self._template.image_prefix(prompt, bucket) for prompt in prompts]
        masked = [self._template.unconditional_prefix(prompt, bucket) for prompt in prompts]
        longest = max(map(len, ids))
        return Batch(
            torch.tensor([[0] * (longest - len(row)) + row for row in ids]),
            torch.tensor([[0] * (longest - len(row)) + row for row in masked]),
            torch.tensor([longest - len(row) for row in ids]),
            torch.stack([self._latents[sample.shard][sample.index] for sample, _ in members]),
            torch.stack([self._labels[sample.shard][sample.index] for sample, _ in members]).long(),
        )

    def text_batch(self, rng: random.Random, *, batch_size: int) -> TextBatch:
        """Random pairs of a short prompt and its detailed caption."""
        rows = []
        for short, detailed in rng.sample(self._recaptions, batch_size):
            prefix = self._template.recaption_prefix(short)
            continuation = [*self._template.encode(detailed), self._template.recaption_end_id]
            rows.append((prefix, continuation))
        longest = max(len(prefix) + len(continuation) for prefix, continuation in rows)
        token_ids = torch.zeros(batch_size, longest, dtype=torch.long)
        targets = torch.full((batch_size, longest), IGNORED)
        for b, (prefix, continuation) in enumerate(rows):
            both = prefix + continuation
            token_ids[b, : len(both)] = torch.tensor(both)
            targets[b, len(prefix) - 1 : len(both) - 1] = torch.tensor(continuation)
        return TextBatch(token_ids, targets)
