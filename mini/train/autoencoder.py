"""Training of the checkpoint's decoder and encoder, which write and read the linear code.

The decoder gets the code of a picture at 32 pixels a cell and draws it at 64. It starts as the best linear decoder
(decoder_start.py) and learns to sharpen. Noise on the code makes it robust against errors of generated latents.
"""

import json
import random
import time
from pathlib import Path
from typing import Never

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from danqing.hunyuan_image3.vae import Vae
from mini.train.checkpoint import model_config
from mini.train.decoder_start import start_linear
from mini.train.latents import BLOCK_PX, LinearCode
from mini.train.recipe import PIXELS_PER_TOKEN, PRESET_SHARES, Budget, Recipe
from mini.train.shards import draw_pictures, sample_scenes
from mini.world.scene import Grid

BATCH_SIZE = 16
# The residual blocks learn fast; the linear decoder around them is nearly right and moves more slowly.
BLOCK_RATE, LINEAR_RATE = 1e-3, 1e-4
NUM_WARMUP_STEPS = 50
DECAY_SHARE = 0.5
AVERAGE_DECAY = 0.995
CODE_NOISE = 0.3
EDGE_WEIGHT = 1.0
# The service draws without the encoder, so the encoder gets the smaller part of the time.
STEPS_PER_ENCODER_STEP = 8
NUM_START_PICTURES = 48
MAX_BATCHES = 10**7
SECONDS_PER_SAVE = 60
STEPS_PER_LOG = 20


def edges(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbours, down and across."""
    return pixels[:, :, 1:] - pixels[:, :, :-1], pixels[:, :, :, 1:] - pixels[:, :, :, :-1]


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
    linear = [p for name, p in vae.named_parameters() if is_linear(name)]
    blocks = [p for name, p in vae.named_parameters() if not is_linear(name)]
    groups = [{"params": blocks, "peak": BLOCK_RATE}, {"params": linear, "peak": LINEAR_RATE}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)


def sample_examples(code: LinearCode, rng: random.Random, *, count: int, grid: Grid) -> tuple[Tensor, Tensor]:
    """Codes and pictures of random scenes."""
    scenes = sample_scenes(rng, count, grid)
    return code.encode(draw_pictures(scenes, BLOCK_PX)), draw_pictures(scenes, PIXELS_PER_TOKEN)


class Examples(Dataset[tuple[Tensor, Tensor]]):
    """Batches by number; the content of a batch depends on its number alone."""

    def __init__(self, code: LinearCode) -> None:
        self._code = code

    def __getitem__(self, batch_index: int) -> tuple[Tensor, Tensor]:
        rng = random.Random(batch_index)
        grid = rng.choices(list(PRESET_SHARES), list(PRESET_SHARES.values()))[0]
        return sample_examples(self._code, rng, count=BATCH_SIZE, grid=grid)


class AutoencoderTraining:
    """One run in one folder: `autoencoder.pt` is its state, `autoencoder.jsonl` its log."""

    def __init__(self, recipe: Recipe, folder: Path, *, dtype: torch.dtype, device: torch.device) -> None:
        torch.manual_seed(0)
        self.folder, self.dtype, self.device = folder, dtype, device
        self.vae = Vae(model_config(recipe).vae)
        self.code = LinearCode.load(folder / "code.safetensors")
        self.num_seen = 0
        self.seconds = 0.0
        self._encoder_error = torch.tensor(float("nan"))
        self._state_path = folder / "autoencoder.pt"
        state = torch.load(self._state_path, map_location=device) if self._state_path.exists() else None
        if state is None:
            rng = random.Random(2)
            grids = rng.choices(list(PRESET_SHARES), list(PRESET_SHARES.values()), k=NUM_START_PICTURES // BATCH_SIZE)
            start_linear(self.vae, [sample_examples(self.code, rng, count=BATCH_SIZE, grid=grid) for grid in grids])
        self.vae.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.adam = new_adam(self.vae)
        self.average = {name: value.clone() for name, value in self.vae.state_dict().items()}
        if state is not None:
            self.vae.load_state_dict(state["weights"])
            self.average = state["vae"]
            self.adam.load_state_dict(state["adam"])
            self.num_seen, self.seconds = state["num_seen"], state["seconds"]

    def save(self) -> None:
        """Written, then renamed: a killed run leaves the previous state whole. `vae` is the moving average."""
        partial = self._state_path.with_suffix(".partial")
        state = {"vae": self.average, "weights": self.vae.state_dict(), "adam": self.adam.state_dict()}
        torch.save(state | {"num_seen": self.num_seen, "seconds": self.seconds}, partial)
        partial.rename(self._state_path)

    def run(self, budget: Budget, *, num_processes: int) -> None:
        """Train until the budget is used up, counting earlier runs. `num_processes` more draw pictures."""
        bar = tqdm(initial=self.num_seen, unit="picture", mininterval=5)
        losses: list[Tensor] = []
        numbers = range(self.num_seen // BATCH_SIZE, MAX_BATCHES)
        loader = DataLoader(Examples(self.code), batch_size=None, sampler=numbers, num_workers=num_processes)
        last_save = last_step = time.monotonic()
        for code, target in loader:
            done = budget.share_done(num_seen=self.num_seen, seconds=self.seconds)
            if done >= 1:
                break
            losses.append(self._step(code.to(self.device), target.to(self.device), done=done))
            bar.update(BATCH_SIZE)
            now = time.monotonic()
            self.seconds, last_step = self.seconds + now - last_step, now
            if self.num_seen // BATCH_SIZE % STEPS_PER_LOG == 0:
                self._log(torch.stack(losses).mean(0), bar)
                losses = []
            if now - last_save > SECONDS_PER_SAVE:
                self.save()
                last_save = now
        self.save()
        bar.close()

    def _step(self, code: Tensor, target: Tensor, *, done: float) -> Tensor:
        generator = torch.Generator("cpu").manual_seed(self.num_seen)
        noise = torch.randn(code.shape, generator=generator).to(self.device)
        strength = CODE_NOISE * torch.rand(BATCH_SIZE, 1, 1, 1, generator=generator).to(self.device)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            drawn = self.vae.decode_unscaled((code + strength * noise).to(memory_format=torch.channels_last))
        loss = picture_loss(drawn.float(), target)
        loss.backward()
        if self.num_seen // BATCH_SIZE % STEPS_PER_ENCODER_STEP == 0:
            self._read(target, code)
        self._move(rate_share(done, num_seen=self.num_seen))
        self.num_seen += BATCH_SIZE
        return torch.stack([loss.detach(), F.mse_loss(drawn.detach().float(), target)])

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
