"""Scenes as training examples: latents and token ids, made once, kept in shards, served in batches.

Every shard has one bucket, every batch one bucket and one text length, so nothing is ever padded.
"""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from danqing.hunyuan_image3.prompt_template import Prompt, PromptTemplate
from danqing.hunyuan_image3.resolution import Buckets
from danqing.training.latents import LinearCode, half_size
from danqing.training.recipe import BASE_SIZE_PX, BUCKET_SHARES, PIXELS_PER_TOKEN
from danqing.training.scenes.captions import caption
from danqing.training.scenes.render import render
from danqing.training.scenes.scene import sample_scene

SHARD_SIZE = 1024
RENDER_BATCH = 64
BUCKETS = Buckets(base_size_px=BASE_SIZE_PX, pixels_per_token=PIXELS_PER_TOKEN)


@dataclass(frozen=True)
class Batch:
    """Text ids up to the token before `<timestep>`, conditional and unconditional, int64 [B, L]; latents."""

    token_ids_BL: Tensor
    unconditional_ids_BL: Tensor
    latent_BChw: Tensor


def draw_samples(rng: random.Random, count: int, *, width_px: int, height_px: int) -> tuple[np.ndarray, list[str]]:
    """Render random training scenes: uint8 [count, H, W, 3] and their captions."""
    pictures = np.empty((count, height_px, width_px, 3), np.uint8)
    captions = []
    for i in range(count):
        scene = sample_scene(rng, aspect=width_px / height_px, split="train")
        pictures[i] = render(scene, width_px=width_px, height_px=height_px)
        captions.append(caption(scene, rng))
    return pictures, captions


def make_shard(shard_index: int, folder: Path, *, code: LinearCode) -> Path:
    """Draw one shard; its content depends on its number alone. Written, then renamed."""
    path = folder / f"shard-{shard_index:05d}.pt"
    if path.exists():
        return path
    rng = random.Random(shard_index)
    sizes, shares = list(BUCKET_SHARES), list(BUCKET_SHARES.values())
    width_px, height_px = rng.choices(sizes, shares)[0]
    latents, captions = [], []
    for _ in range(SHARD_SIZE // RENDER_BATCH):
        pictures, texts = draw_samples(rng, RENDER_BATCH, width_px=width_px, height_px=height_px)
        latents.append(code.encode(half_size(pictures)).to(torch.bfloat16))
        captions += texts
    partial = path.with_suffix(".partial")
    torch.save({"latent": torch.cat(latents), "captions": captions, "size": (width_px, height_px)}, partial)
    partial.rename(path)
    return path


class Dataset:
    """All shards of a folder, in memory, grouped by bucket and text length."""

    def __init__(self, folder: Path, template: PromptTemplate) -> None:
        self._folder, self._template = folder, template
        self._latents: list[Tensor] = []
        self._loaded: set[Path] = set()
        self._groups: dict[tuple[tuple[int, int], int], list[tuple[int, int, list[int], list[int]]]] = defaultdict(list)

    def refresh(self) -> int:
        """Take in shards that have appeared since; returns how many samples there are."""
        for path in sorted(self._folder.glob("shard-*.pt")):
            if path not in self._loaded:
                self._loaded.add(path)
                self._take(torch.load(path))
        return sum(len(latents) for latents in self._latents)

    def _take(self, shard: dict[str, Tensor | list[str] | tuple[int, int]]) -> None:
        size, captions, latents = shard["size"], shard["captions"], shard["latent"]
        assert isinstance(size, tuple)
        assert isinstance(captions, list)
        assert isinstance(latents, Tensor)
        bucket = BUCKETS.nearest(width_px=size[0], height_px=size[1])
        self._latents.append(latents)
        for i, text in enumerate(captions):
            ids = self._template.image_prefix(Prompt(text=text), bucket)
            masked = self._template.unconditional_prefix(Prompt(text=text), bucket)
            self._groups[size, len(ids)].append((len(self._latents) - 1, i, ids, masked))

    def epoch(self, rng: random.Random, *, batch_size: int) -> Iterator[Batch]:
        """Every sample about once, in random batches; small remainders of a group wait for the next epoch."""
        plan = []
        for members in self._groups.values():
            order = rng.sample(members, len(members))
            batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
            plan += [batch for batch in batches if len(batch) >= batch_size // 2]
        rng.shuffle(plan)
        for members in plan:
            yield Batch(
                torch.tensor([ids for _, _, ids, _ in members]),
                torch.tensor([masked for _, _, _, masked in members]),
                torch.stack([self._latents[shard][i] for shard, i, _, _ in members]),
            )
