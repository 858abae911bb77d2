"""Shards: scenes as training examples (latents, layouts, tokens), drawn once and stored in files.

Every shard has one grid, and its content depends on its number alone. A shard is a dict of tensors: `latent` bfloat16
[n, C, h, w]; `labels` int16 [n, h, w, 2]; `prompt_ids` and `unconditional_ids` int16 [n, K, L], K texts of each scene,
padded on the left, with `num_pads` int16 [n, K]; `expansion_ids` int16 [n, R], a short prompt and its detailed caption,
padded on the right, with `expansion_spans` int16 [n, 2], where the caption begins and ends.
"""

import random
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from danqing.hunyuan_image3.prompt_template import CAPTION_TAG, Prompt, PromptTemplate
from danqing.hunyuan_image3.tokenizer import Tokenizer
from mini.train.latents import BLOCK_PX, LinearCode, to_pixels
from mini.train.layout_probe import layout_labels
from mini.train.recipe import BASE_SIZE_PX, BUCKETS, GRID_SHARES, PIXELS_PER_TOKEN
from mini.world.captions import caption, short_prompt
from mini.world.chinese import chinese_caption
from mini.world.detailed_captions import detailed_caption
from mini.world.layout import sample_scene
from mini.world.noise_words import noise_words, with_noise_words
from mini.world.render import render
from mini.world.scene import Arrangement, Grid, Scene, Style
from mini.world.vocabulary import KINDS, NOUNS

SHARD_SIZE = 1024
RENDER_BATCH = 8
TEXTS_PER_SCENE = 3
DETAILED_SHARE, CHINESE_SHARE, SHORT_SHARE, NOISE_SHARE = 0.12, 0.10, 0.12, 0.02
# Longer than any text of the world; one that does not fit is an error.
MAX_PROMPT_TOKENS, MAX_EXPANSION_TOKENS = 128, 224


def sample_scenes(rng: random.Random, count: int, grid: Grid, *, tries: int = 1) -> list[Scene]:
    """Sampled training scenes, each the hardest of so many."""
    return [max((sample_scene(rng, grid) for _ in range(tries)), key=difficulty) for _ in range(count)]


def difficulty(scene: Scene) -> int:
    """How much of a scene is learned late: tinted things, people, many of a kind, strong styles."""
    tints = sum(item.colour is not None and not NOUNS[item.noun].is_shape for item in scene.objects)
    people = sum(item.noun in KINDS["person"].nouns for item in scene.objects)
    many = scene.arrangement is Arrangement.COUNT and len(scene.objects) > 2
    return min(tints, 2) + min(people, 2) + many + (scene.style in (Style.PENCIL, Style.NEON))


def draw_pictures(scenes: Sequence[Scene], cell_px: int) -> Tensor:
    """Float32 [B, 3, H, W] in -1..1."""
    return to_pixels(np.stack([render(scene, cell_px) for scene in scenes]))


def training_text(scene: Scene, rng: random.Random) -> str:
    """One of a scene's texts: a caption, short, detailed or Chinese; now and then only noise words."""
    pick = rng.random()
    if pick < DETAILED_SHARE:
        return detailed_caption(scene)
    if pick < DETAILED_SHARE + CHINESE_SHARE:
        return chinese_caption(scene, rng)
    if pick < DETAILED_SHARE + CHINESE_SHARE + SHORT_SHARE:
        return with_noise_words(short_prompt(scene, rng), rng)
    if pick > 1 - NOISE_SHARE:
        return noise_words(rng)
    return with_noise_words(caption(scene, rng), rng)


def expansion_pair(scene: Scene, rng: random.Random) -> tuple[str, str]:
    """A prompt, mostly short, and the detailed caption that expands it."""
    pick = rng.random()
    if pick < 0.6:
        short = with_noise_words(short_prompt(scene, rng), rng)
    else:
        short = caption(scene, rng) if pick < 0.85 else chinese_caption(scene, rng)
    return short, detailed_caption(scene)


def prompt_tokens(texts: Sequence[Sequence[str]], grid: Grid, template: PromptTemplate) -> dict[str, Tensor]:
    """Every scene's texts as the sequence before a picture of this grid, and as the unconditional branch has it."""
    bucket = BUCKETS.nearest(width_px=grid.columns * PIXELS_PER_TOKEN, height_px=grid.rows * PIXELS_PER_TOKEN)
    shape = (len(texts), len(texts[0]), MAX_PROMPT_TOKENS)
    given, masked = torch.zeros(shape, dtype=torch.int16), torch.zeros(shape, dtype=torch.int16)
    num_pads = torch.zeros(shape[:2], dtype=torch.int16)
    for i, texts_of_scene in enumerate(texts):
        for k, text in enumerate(texts_of_scene):
            prompt = Prompt(text=text)
            ids = template.image_prefix(prompt, bucket)
            num_pads[i, k] = MAX_PROMPT_TOKENS - len(ids)
            given[i, k, -len(ids) :] = torch.tensor(ids)
            masked[i, k, -len(ids) :] = torch.tensor(template.unconditional_prefix(prompt, bucket))
    return {"prompt_ids": given, "unconditional_ids": masked, "num_pads": num_pads}


def expansion_tokens(pairs: Sequence[tuple[str, str]], template: PromptTemplate) -> dict[str, Tensor]:
    """Short prompts, each with the detailed caption that should follow."""
    all_ids = torch.zeros(len(pairs), MAX_EXPANSION_TOKENS, dtype=torch.int16)
    spans = torch.zeros(len(pairs), 2, dtype=torch.int16)
    for i, (short, detailed) in enumerate(pairs):
        prefix = template.text_prefix(Prompt(text=short), tag=CAPTION_TAG)
        ids = [*prefix, *template.encode(detailed), template.closing(CAPTION_TAG)]
        all_ids[i, : len(ids)] = torch.tensor(ids)
        spans[i] = torch.tensor([len(prefix), len(ids)])
    return {"expansion_ids": all_ids, "expansion_spans": spans}


class ShardMaker:
    """Draws shards with one code and one vocabulary."""

    def __init__(self, workdir: Path, *, tries: int = 1) -> None:
        self._tries = tries
        self._folder = workdir / "shards"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._code = LinearCode.load(workdir / "code.safetensors")
        self._template = PromptTemplate(
            Tokenizer.from_file(workdir / "mini" / "tokenizer.json"), name="pretrain", base_size_px=BASE_SIZE_PX
        )

    def make(self, shard_index: int) -> Path:
        """Draw one shard unless it exists; it is written, then renamed."""
        path = self._folder / f"shard-{shard_index:05d}.pt"
        if path.exists():
            return path
        rng = random.Random(shard_index)
        grid = rng.choices(list(GRID_SHARES), list(GRID_SHARES.values()))[0]
        latents: list[Tensor] = []
        scenes: list[Scene] = []
        for _ in range(SHARD_SIZE // RENDER_BATCH):
            drawn = sample_scenes(rng, RENDER_BATCH, grid, tries=self._tries)
            latents.append(self._code.encode(draw_pictures(drawn, BLOCK_PX)).to(torch.bfloat16))
            scenes += drawn
        texts = [[training_text(scene, rng) for _ in range(TEXTS_PER_SCENE)] for scene in scenes]
        shard = {
            "latent": torch.cat(latents),
            "labels": torch.stack([layout_labels(scene) for scene in scenes]),
            **prompt_tokens(texts, grid, self._template),
            **expansion_tokens([expansion_pair(scene, rng) for scene in scenes], self._template),
        }
        partial = path.with_suffix(".partial")
        torch.save(shard, partial)
        partial.rename(path)
        return path


_maker: ShardMaker


def _start_process(workdir: Path, tries: int) -> None:
    global _maker
    torch.set_num_threads(1)
    _maker = ShardMaker(workdir, tries=tries)


def _make(shard_index: int) -> None:
    _maker.make(shard_index)


def make_shards(workdir: Path, numbers: range, *, num_processes: int, tries: int = 1) -> None:
    """Draw the shards of these numbers, in order, in `num_processes` processes; see `sample_scenes` for `tries`."""
    with get_context("spawn").Pool(num_processes, initializer=_start_process, initargs=(workdir, tries)) as pool:
        for _ in tqdm(pool.imap_unordered(_make, numbers), total=len(numbers), unit="shard", mininterval=10):
            pass
