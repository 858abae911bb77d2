"""The training set: all shards of a folder in memory, served in random batches.

A batch has one grid. Its prompts differ in length: shorter ones are padded on the left, where a mask hides the padding
and relative positions ignore it. A batch depends only on its generator and on the shards present, so a killed run
resumes with the batches it would have had.

Letters: B samples, C channels, h x w cells, L text tokens.
"""

from collections import defaultdict
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from mini.world.scene import Grid

# The target of tokens that carry no loss.
IGNORED = -1
# Candidates for a batch, as a multiple of its size: sorted by length, one run of them becomes the batch.
CANDIDATES = 8
SPREAD_SAMPLES = 4096
# Lengths are rounded up to this, so that shapes repeat.
LENGTH_STEP = 8


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


Shard = dict[str, Tensor]


class Dataset:
    """All shards of a folder, on one device."""

    def __init__(self, folder: Path, *, device: torch.device) -> None:
        self._folder, self._device = folder, device
        self._loaded: set[Path] = set()
        self._samples: dict[Grid, Shard] = {}
        # On the CPU, where batches are planned: [samples, texts], and where each caption ends, [samples].
        self._num_pads: dict[Grid, Tensor] = {}
        self._ends: dict[Grid, Tensor] = {}

    def refresh(self) -> int:
        """Load new shards; returns the number of samples."""
        new: dict[Grid, list[Shard]] = defaultdict(list)
        for path in sorted(self._folder.glob("shard-*.pt")):
            if path not in self._loaded:
                self._loaded.add(path)
                shard = torch.load(path, mmap=True)
                rows, columns = shard["latent"].shape[2:]
                new[Grid(columns, rows)].append(shard)
        for grid, shards in new.items():
            self._take(grid, shards)
        return sum(map(len, self._num_pads.values()))

    def _take(self, grid: Grid, shards: list[Shard]) -> None:
        known = [self._samples[grid]] if grid in self._samples else []
        joined = [{key: value.to(self._device) for key, value in shard.items()} for shard in shards]
        self._samples[grid] = {key: torch.cat([part[key] for part in [*known, *joined]]) for key in shards[0]}
        self._num_pads[grid] = self._samples[grid]["num_pads"].cpu()
        self._ends[grid] = self._samples[grid]["expansion_spans"][:, 1].cpu()

    def spread(self) -> Tensor:
        """The standard deviation of every latent channel, float32 [C]."""
        latents = [shard["latent"][:SPREAD_SAMPLES].float() for shard in self._samples.values()]
        return torch.cat([latent.transpose(0, 1).flatten(1) for latent in latents], dim=1).std(1)

    def _sample_grid(self, generator: torch.Generator) -> Grid:
        """Sample a grid in proportion to its number of samples."""
        grids = sorted(self._samples)
        counts = torch.tensor([float(len(self._num_pads[grid])) for grid in grids])
        return grids[int(torch.multinomial(counts, 1, generator=generator))]

    def batch(self, generator: torch.Generator, *, batch_size: int) -> Batch:
        """Random samples of a random grid, each with one of its texts, all texts of about the same length."""
        grid = self._sample_grid(generator)
        num_pads = self._num_pads[grid]
        count = CANDIDATES * batch_size
        rows = torch.randint(num_pads.shape[0], (count,), generator=generator)
        texts = torch.randint(num_pads.shape[1], (count,), generator=generator)
        order = num_pads[rows, texts].argsort(stable=True)
        start = batch_size * int(torch.randint(CANDIDATES, (1,), generator=generator))
        chosen = order[start : start + batch_size]
        return self._gather(grid, rows[chosen], texts[chosen])

    def _gather(self, grid: Grid, rows: Tensor, texts: Tensor) -> Batch:
        samples, pads = self._samples[grid], self._num_pads[grid][rows, texts].long()
        cut = int(pads.min()) // LENGTH_STEP * LENGTH_STEP
        rows, texts = rows.to(self._device), texts.to(self._device)
        return Batch(
            samples["prompt_ids"][rows, texts, cut:].long(),
            samples["unconditional_ids"][rows, texts, cut:].long(),
            (pads - cut).to(self._device),
            samples["latent"][rows],
            samples["labels"][rows].long(),
        )

    def text_batch(self, generator: torch.Generator, *, batch_size: int) -> TextBatch:
        """Random pairs of a short prompt and its detailed caption, from one grid."""
        grid = self._sample_grid(generator)
        samples, ends = self._samples[grid], self._ends[grid]
        rows = torch.randint(len(ends), (batch_size,), generator=generator)
        longest = -(-int(ends[rows].max()) // LENGTH_STEP) * LENGTH_STEP
        rows = rows.to(self._device)
        ids, spans = samples["expansion_ids"][rows, :longest].long(), samples["expansion_spans"][rows].long()
        following = ids.roll(-1, dims=1)
        position = torch.arange(ids.shape[1], device=self._device)
        is_learned = (position >= spans[:, :1] - 1) & (position < spans[:, 1:] - 1)
        return TextBatch(ids, following.masked_fill(~is_learned, IGNORED))
