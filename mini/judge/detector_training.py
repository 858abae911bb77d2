"""Training of the detector on collages: seeded, resumable, bounded by a number of pictures."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple, Never

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from danqing.hunyuan_image3.precision import fastest_precision
from mini.judge.collages import COLOUR_LABELS, LABELS, Thing, collage
from mini.judge.detector import CELL_PX, Detector, Maps
from mini.train.optimiser import MOMENTUM, orthogonalise

NUM_PICTURES = 20_000
BATCH_SIZE = 16
MUON_RATE, ADAM_RATE = 0.03, 3e-3
NUM_WARMUP_STEPS = 20
DECAY_SHARE = 0.4
# A thing's middle spreads over this part of its longer side, and over this many cells at least.
SPREAD, MIN_SPREAD_CELLS = 0.1, 0.6
# Cells that are this much of a middle must know noun and colour.
MIN_SHARE = 0.4
COLOUR_WEIGHT = 1.0
STEPS_PER_SAVE, STEPS_PER_LOG = 50, 10
NOTHING = -1


class Labels(NamedTuple):
    """The maps' targets: how much a cell is a thing's middle, and its noun and colour by index, or NOTHING."""

    middle: Tensor
    noun: Tensor
    colour: Tensor


def labels_of(things: Sequence[Thing], *, rows: int, columns: int) -> Labels:
    """The labels of one picture; each cell belongs to the thing whose middle it is most."""
    middle = torch.zeros(rows, columns)
    noun = torch.full((rows, columns), NOTHING)
    colour = noun.clone()
    y, x = torch.arange(rows)[:, None] + 0.5, torch.arange(columns)[None, :] + 0.5
    for thing in things:
        spread = max(MIN_SPREAD_CELLS, SPREAD * thing.side_px / CELL_PX)
        squared = (x - thing.x_px / CELL_PX) ** 2 + (y - thing.y_px / CELL_PX) ** 2
        share = torch.exp(-squared / (2 * spread**2))
        # The cell that holds the middle is all of it, wherever in the cell the middle lies.
        share = share / share.max()
        nearest = (share > middle) & (share >= MIN_SHARE)
        noun[nearest], colour[nearest] = LABELS.index(thing.noun), COLOUR_LABELS.index(thing.colour)
        middle = torch.maximum(middle, share)
    return Labels(middle, noun, colour)


def sample_batch(rng: Random) -> tuple[Tensor, Labels]:
    """Pixels from -1 to 1, [B, 3, H, W], and their labels."""
    pictures, things = zip(*(collage(rng) for _ in range(BATCH_SIZE)), strict=True)
    pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures]))
    rows, columns = (side // CELL_PX for side in pixels.shape[1:3])
    labels = [labels_of(shown, rows=rows, columns=columns) for shown in things]
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1, Labels(*map(torch.stack, zip(*labels, strict=True)))


def loss_of(maps: Maps, labels: Labels) -> Tensor:
    """CenterNet's focal loss of the middles; cross entropy of noun and colour where a middle is."""
    log_yes, log_no = F.logsigmoid(maps.middle_Bhw), F.logsigmoid(-maps.middle_Bhw)
    right = log_no.exp().square() * log_yes
    wrong = (1 - labels.middle) ** 4 * log_yes.exp().square() * log_no
    is_middle = labels.middle == 1
    focal = -torch.where(is_middle, right, wrong).sum() / is_middle.sum()
    nouns = F.cross_entropy(maps.noun_BNhw, labels.noun, ignore_index=NOTHING)
    colours = F.cross_entropy(maps.colour_BKhw, labels.colour, ignore_index=NOTHING)
    return focal + nouns + COLOUR_WEIGHT * colours


def load_detector(folder: Path) -> Detector:
    """The trained detector of this folder."""
    detector = Detector(LABELS, COLOUR_LABELS)
    detector.load_state_dict(torch.load(folder / "detector.pt")["detector"])
    return detector.eval()


class Muon(torch.optim.Optimizer):
    """PyTorch's Muon in the precision that is fastest here; its own is bfloat16 on every device."""

    def __init__(self, matrices: Sequence[nn.Parameter], *, lr: float) -> None:
        super().__init__(matrices, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every matrix by its orthogonalised Nesterov momentum; the gradients are there already."""
        assert closure is None
        (group,) = self.param_groups
        for matrix in group["params"]:
            momentum = self.state[matrix].setdefault("momentum", torch.zeros_like(matrix))
            momentum.lerp_(matrix.grad, 1 - MOMENTUM)
            scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
            matrix.add_(orthogonalise(matrix.grad.lerp(momentum, MOMENTUM)), alpha=-group["lr"] * scale)


class DetectorTraining:
    """One run in one folder: `detector.pt` is its state, `detector.jsonl` its log."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.detector = Detector(LABELS, COLOUR_LABELS)
        kernels = [p for name, p in self.detector.named_parameters() if name.endswith("kernel")]
        rest = [p for name, p in self.detector.named_parameters() if not name.endswith("kernel")]
        self._optimisers: tuple[torch.optim.Optimizer, ...] = (
            Muon(kernels, lr=MUON_RATE),
            torch.optim.AdamW(rest, lr=ADAM_RATE, weight_decay=0.0),
        )
        self._rates = (MUON_RATE, ADAM_RATE)
        self.num_seen = 0
        self._state_path = folder / "detector.pt"
        if self._state_path.exists():
            state = torch.load(self._state_path)
            self.detector.load_state_dict(state["detector"])
            for optimiser, stored in zip(self._optimisers, state["optimisers"], strict=True):
                optimiser.load_state_dict(stored)
            self.num_seen = state["num_seen"]

    def run(self, *, num_pictures: int) -> None:
        """Train until `num_pictures` have been seen in all, counting earlier runs."""
        self.detector.train()
        bar = tqdm(total=num_pictures, initial=self.num_seen, unit="picture", mininterval=5)
        losses: list[float] = []
        while self.num_seen < num_pictures:
            losses.append(self._step(num_pictures=num_pictures))
            bar.update(BATCH_SIZE)
            step_index = self.num_seen // BATCH_SIZE
            if step_index % STEPS_PER_LOG == 0:
                self._log(sum(losses) / len(losses), bar)
                losses = []
            if step_index % STEPS_PER_SAVE == 0:
                self.save()
        self.save()
        bar.close()

    def save(self) -> None:
        """Written, then renamed: a killed run leaves the previous state whole."""
        partial = self._state_path.with_suffix(".partial")
        optimisers = [optimiser.state_dict() for optimiser in self._optimisers]
        state = {"detector": self.detector.state_dict(), "optimisers": optimisers, "num_seen": self.num_seen}
        torch.save(state, partial)
        partial.rename(self._state_path)

    def _step(self, *, num_pictures: int) -> float:
        pixels_B3HW, labels = sample_batch(Random(self.num_seen))
        share = rate_share(self.num_seen, num_pictures=num_pictures)
        for optimiser, rate in zip(self._optimisers, self._rates, strict=True):
            optimiser.param_groups[0]["lr"] = rate * share
        dtype = fastest_precision(torch.device("cpu")).dtype
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            maps = self.detector(pixels_B3HW)
        loss = loss_of(maps, labels)
        loss.backward()
        for optimiser in self._optimisers:
            optimiser.step()
            optimiser.zero_grad()
        self.num_seen += BATCH_SIZE
        return loss.item()

    def _log(self, loss: float, bar: "tqdm[Never]") -> None:
        bar.set_postfix(loss=f"{loss:.3f}")
        row = {"seen": self.num_seen, "loss": loss, "cpu_seconds": time.process_time(), "time": time.time()}
        with (self.folder / "detector.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")


def rate_share(num_seen: int, *, num_pictures: int) -> float:
    """Linear warm-up, a constant rate, linear decay to zero over the last part."""
    warmup = (num_seen / BATCH_SIZE + 1) / NUM_WARMUP_STEPS
    decay = (1 - num_seen / num_pictures) / DECAY_SHARE
    return max(0.0, min(1.0, warmup, decay))
