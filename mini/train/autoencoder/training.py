"""Training of the checkpoint's decoder and encoder, which write and read the linear code.

The decoder gets the code of a picture at 32 pixels a cell and draws it at 128. It starts as the best linear decoder
(linear_start.py) and learns to sharpen; noise on the code makes it robust. Or it continues from a finished checkpoint:
only its last level learns, most codes are drawn by that checkpoint (redrawing.py), and one that draws half the sides
gets a level more first (growth.py). Either is rounded with care in the end (rounding.py).
"""

import json
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Never

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

from danqing.hunyuan_image3.vae import Vae
from mini.train.autoencoder.examples import (
    BATCH_SIZE,
    Examples,
    cropped,
    draw_crops,
    draw_examples,
    edges,
    sample_corners,
)
from mini.train.autoencoder.growth import grow, inputs_of, last_convolutions, lower_names
from mini.train.autoencoder.linear_start import start_linear
from mini.train.autoencoder.redrawing import Redrawing
from mini.train.autoencoder.rounding import round_decoder
from mini.train.autoencoder.whitening import plain, whiten
from mini.train.checkpoint import load_autoencoder, model_config
from mini.train.latents import LinearCode
from mini.train.recipe import PIXELS_PER_TOKEN, PRESET_SHARES, Budget, Recipe
from mini.train.shards import sample_scenes

# The residual blocks learn fast; the linear decoder around them is nearly right and moves more slowly.
BLOCK_RATE, LINEAR_RATE = 1e-3, 1e-4
NUM_WARMUP_STEPS = 50
DECAY_SHARE = 0.5
AVERAGE_DECAY = 0.995
EDGE_WEIGHT = 1.0
CROP_CELLS = 4
# The service draws without the encoder, so the encoder gets the smaller part of the time.
STEPS_PER_ENCODER_STEP = 8
NUM_START_PICTURES, NUM_WHITENING_BATCHES, NUM_ROUNDING_BATCHES = 48, 4, 12
MAX_BATCHES = 10**7
SECONDS_PER_SAVE = 60
STEPS_PER_LOG = 20


def picture_loss(drawn: Tensor, target: Tensor) -> Tensor:
    """Absolute error of colours, and of edges: squared error alone would blur uncertain edges."""
    loss = F.l1_loss(drawn, target)
    for a, b in zip(edges(drawn), edges(target), strict=True):
        loss = loss + EDGE_WEIGHT * F.l1_loss(a, b)
    return loss


def rate_share(done: float, *, num_seen: int) -> float:
    """Linear warm-up, then constant, then linear decay to zero; `done` is the share of the run that is over."""
    warmup = (num_seen / BATCH_SIZE + 1) / NUM_WARMUP_STEPS
    return max(0.0, min(1.0, warmup, (1 - done) / DECAY_SHARE))


def is_linear(name: str) -> bool:
    """Whether a parameter belongs to the linear path of the decoder."""
    return name.startswith("decoder.") and ".block" not in name and ".attn" not in name


def new_adam(vae: Vae) -> torch.optim.AdamW:
    """Two groups, each with its `peak` rate."""
    trained = [(name, p) for name, p in vae.named_parameters() if p.requires_grad]
    linear = [p for name, p in trained if is_linear(name)]
    blocks = [p for name, p in trained if not is_linear(name)]
    groups = [{"params": blocks, "peak": BLOCK_RATE}, {"params": linear, "peak": LINEAR_RATE}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)


class AutoencoderTraining:
    """One run in one folder: `autoencoder.pt` is its state, `autoencoder.jsonl` its log.

    `checkpoint` is a finished one to continue from, of as many levels or of one less, which must speak the run's code;
    a run that is taken up again needs it again.
    """

    def __init__(
        self, recipe: Recipe, folder: Path, *, dtype: torch.dtype, device: torch.device, checkpoint: Path | None = None
    ) -> None:
        torch.manual_seed(0)
        self.folder, self.dtype, self.device = folder, dtype, device
        self.vae = Vae(model_config(recipe).vae)
        self.code = LinearCode.load(folder / "code.safetensors")
        self.examples = Examples(self.code, Redrawing(checkpoint) if checkpoint else None)
        self.num_seen = 0
        self.seconds = 0.0
        self._encoder_error = torch.tensor(float("nan"))
        self._state_path = folder / "autoencoder.pt"
        state = torch.load(self._state_path, map_location=device) if self._state_path.exists() else None
        # The decoder's weights that stay as they are.
        self._finished: list[str] = [] if state is None else state["finished"]
        if state is None:
            self._start(checkpoint)
        elif self._finished:
            for layer in last_convolutions(self.vae.decoder):
                whiten(layer)
        for name, parameter in self.vae.named_parameters():
            parameter.requires_grad_(name not in self._finished)
        self.vae.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.adam = new_adam(self.vae)
        self.average = {name: value.clone() for name, value in self.vae.state_dict().items()}
        if state is not None:
            self.vae.load_state_dict(state["weights"])
            self.average = state["average"]
            self.adam.load_state_dict(state["adam"])
            self.num_seen, self.seconds = state["num_seen"], state["seconds"]

    def _start(self, checkpoint: Path | None) -> None:
        rng = random.Random(2)
        grids = rng.choices(list(PRESET_SHARES), list(PRESET_SHARES.values()), k=NUM_START_PICTURES // BATCH_SIZE)
        examples = [draw_examples(self.code, sample_scenes(rng, BATCH_SIZE, grid)) for grid in grids]
        if checkpoint is None:
            start_linear(self.vae, examples)
            return
        finished = load_autoencoder(checkpoint)
        if len(finished.decoder.up) < len(self.vae.decoder.up):
            grow(self.vae, finished, examples)
        else:
            self.vae.load_state_dict(finished.state_dict())
        self._finished = [f"decoder.{name}" for name in lower_names(self.vae.decoder)]
        codes = [code for code, _ in examples[:NUM_WHITENING_BATCHES]]
        for layer in last_convolutions(self.vae.decoder):
            with torch.no_grad():
                rows_ND = torch.cat(inputs_of(layer, self.vae.decode_unscaled, codes))[:, :-1]
            whiten(layer, rows_ND.T @ rows_ND / len(rows_ND))

    def finish(self) -> None:
        """Save the autoencoder as its file will hold it, rounded."""
        vae = Vae(self.vae.config)
        vae.load_state_dict({name: value.cpu() for name, value in plain(self.average).items()})
        round_decoder(vae, [self.examples[i][0] for i in range(NUM_ROUNDING_BATCHES)])
        self.save(vae.state_dict())

    def save(self, vae: Mapping[str, Tensor] | None = None) -> None:
        """Written, then renamed: a killed run leaves the previous state whole. `vae` is the average, plain weights,
        until the run is finished."""
        partial = self._state_path.with_suffix(".partial")
        state = {"vae": vae or plain(self.average), "average": self.average, "finished": self._finished}
        state |= {"weights": self.vae.state_dict(), "adam": self.adam.state_dict()}
        torch.save(state | {"num_seen": self.num_seen, "seconds": self.seconds}, partial)
        partial.rename(self._state_path)

    def run(self, budget: Budget, *, num_processes: int) -> None:
        """Train until the budget is used up, counting earlier runs. `num_processes` more draw pictures."""
        bar = tqdm(initial=self.num_seen, unit="picture", mininterval=5)
        losses: list[Tensor] = []
        numbers = range(self.num_seen // BATCH_SIZE, MAX_BATCHES)
        loader = DataLoader(self.examples, batch_size=None, sampler=numbers, num_workers=num_processes)
        last_save = last_step = time.monotonic()
        for given, code, target in loader:
            done = budget.share_done(num_seen=self.num_seen, seconds=self.seconds)
            if done >= 1:
                break
            losses.append(self._step(*(each.to(self.device) for each in (given, code, target)), done=done))
            bar.update(BATCH_SIZE)
            now = time.monotonic()
            self.seconds, last_step = self.seconds + now - last_step, now
            if self.num_seen // BATCH_SIZE % STEPS_PER_LOG == 0:
                self._log(torch.stack(losses).mean(0), bar)
                losses = []
            if now - last_save > SECONDS_PER_SAVE:
                self.save()
                last_save = now
        self.finish()
        bar.close()

    def _step(self, given: Tensor, code: Tensor, target: Tensor, *, done: float) -> Tensor:
        side = min(CROP_CELLS, *code.shape[2:]) * PIXELS_PER_TOKEN
        corners = sample_corners(
            target, random.Random(self.num_seen), side_px=side, patch_px=self.vae.config.output_patch_size
        )
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            drawn = draw_crops(self.vae, given.to(memory_format=torch.channels_last), corners, side_px=side)
        crops = cropped(target, corners, side=side)
        loss = picture_loss(drawn.float(), crops)
        loss.backward()
        if self.num_seen // BATCH_SIZE % STEPS_PER_ENCODER_STEP == 0:
            self._read(target, code)
        self._move(rate_share(done, num_seen=self.num_seen))
        self.num_seen += BATCH_SIZE
        return torch.stack([loss.detach(), F.mse_loss(drawn.detach().float(), crops)])

    def _read(self, target: Tensor, code: Tensor) -> None:
        """Add the encoder's gradients."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            read = self.vae.encode(target.to(memory_format=torch.channels_last))
        loss = F.mse_loss(read.float(), code)
        loss.backward()
        self._encoder_error = loss.detach()

    @torch.no_grad()
    def _move(self, share: float) -> None:
        for group in self.adam.param_groups:
            group["lr"] = group["peak"] * share
        self.adam.step()
        self.adam.zero_grad()
        # Short memory at first, so that the average does not remember the start.
        step_index = self.num_seen // BATCH_SIZE
        decay = min(AVERAGE_DECAY, (1 + step_index) / (10 + step_index))
        torch._foreach_lerp_(list(self.average.values()), list(self.vae.state_dict().values()), 1 - decay)

    def _log(self, losses: Tensor, bar: "tqdm[Never]") -> None:
        (loss, squared), encoder = losses.tolist(), float(self._encoder_error)
        psnr = 10 * torch.log10(torch.tensor(4 / squared)).item()
        bar.set_postfix(loss=f"{loss:.4f}", psnr=f"{psnr:.2f}", encoder=f"{encoder:.4f}")
        row = {"seen": self.num_seen, "loss": loss, "psnr_db": psnr, "encoder": encoder}
        row["time"] = time.time()
        with (self.folder / "autoencoder.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
