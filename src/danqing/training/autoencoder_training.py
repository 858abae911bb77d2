"""Trains the checkpoint's decoder and encoder to write and read the linear code. Knows nothing of prompts.

The decoder sees the code of a picture at 32 pixels a cell and must draw it at 64. It starts as the best linear decoder
(decoder_start.py) and learns to sharpen. Some noise on the code keeps it calm about the errors of generated latents.
"""

import json
import random
import time
from pathlib import Path
from typing import Never

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from danqing.hunyuan_image3.vae import Vae
from danqing.training.dataset import draw_pictures, draw_scenes
from danqing.training.decoder_start import start_linear
from danqing.training.latents import BLOCK_PX, LinearCode
from danqing.training.recipe import PIXELS_PER_TOKEN, PRESET_SHARES, Recipe, model_config
from danqing.training.scenes.grid import Grid

BATCH_SIZE = 8
# The residual blocks learn fast; the linear decoder around them, which is nearly right, gives way more slowly.
BLOCK_RATE, LINEAR_RATE = 1e-3, 1e-4
NUM_WARMUP_STEPS = 20
DECAY_SHARE = 0.5
AVERAGE_DECAY = 0.98
CODE_NOISE = 0.3
EDGE_WEIGHT = 1.0
# Drawing pictures does not need the encoder, so it gets the smaller part of the time.
STEPS_PER_ENCODER_STEP = 8
NUM_START_PICTURES = 48
STEPS_PER_SAVE = 25
STEPS_PER_LOG = 5


def edges(pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Differences of neighbours, down and across."""
    return pixels[:, :, 1:] - pixels[:, :, :-1], pixels[:, :, :, 1:] - pixels[:, :, :, :-1]


def picture_loss(drawn: Tensor, target: Tensor) -> Tensor:
    """Absolute error of colours, and of edges: squared error alone would blur what it cannot place."""
    loss = F.l1_loss(drawn, target)
    for a, b in zip(edges(drawn), edges(target), strict=True):
        loss = loss + EDGE_WEIGHT * F.l1_loss(a, b)
    return loss


def rate_share(num_seen: int, *, num_pictures: int) -> float:
    """Linear warm-up, then constant, then linear decay to zero."""
    warmup = (num_seen / BATCH_SIZE + 1) / NUM_WARMUP_STEPS
    decay = (1 - num_seen / num_pictures) / DECAY_SHARE
    return max(0.0, min(1.0, warmup, decay))


def is_linear(name: str) -> bool:
    """Whether a parameter belongs to the linear path of the decoder."""
    return name.startswith("decoder.") and ".block" not in name and ".attn" not in name


def new_adam(vae: Vae) -> torch.optim.AdamW:
    """Two groups, each with its `peak` rate."""
    linear = [p for name, p in vae.named_parameters() if is_linear(name)]
    blocks = [p for name, p in vae.named_parameters() if not is_linear(name)]
    groups = [{"params": blocks, "peak": BLOCK_RATE}, {"params": linear, "peak": LINEAR_RATE}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)


def draw_examples(code: LinearCode, rng: random.Random, *, count: int, grid: Grid) -> tuple[Tensor, Tensor]:
    """Codes and pictures of random scenes."""
    scenes = draw_scenes(rng, count, grid)
    return code.encode(draw_pictures(scenes, BLOCK_PX)), draw_pictures(scenes, PIXELS_PER_TOKEN)


class AutoencoderTraining:
    """One run in one folder: `autoencoder.pt` is its state, `autoencoder.jsonl` its log."""

    def __init__(self, recipe: Recipe, folder: Path, *, dtype: torch.dtype, device: torch.device) -> None:
        torch.manual_seed(0)
        self.folder, self.dtype, self.device = folder, dtype, device
        self.vae = Vae(model_config(recipe).vae)
        self.code = LinearCode.load(folder / "code.safetensors")
        self.num_seen = 0
        self._encoder_error = float("nan")
        self._state_path = folder / "autoencoder.pt"
        state = torch.load(self._state_path) if self._state_path.exists() else None
        if state is None:
            rng = random.Random(2)
            grids = rng.choices(list(PRESET_SHARES), list(PRESET_SHARES.values()), k=NUM_START_PICTURES // BATCH_SIZE)
            start_linear(self.vae, [draw_examples(self.code, rng, count=BATCH_SIZE, grid=grid) for grid in grids])
        self.vae.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.adam = new_adam(self.vae)
        self.average = {name: value.clone() for name, value in self.vae.state_dict().items()}
        if state is not None:
            self.vae.load_state_dict(state["weights"])
            self.average = state["vae"]
            self.adam.load_state_dict(state["adam"])
            self.num_seen = state["num_seen"]

    def save(self) -> None:
        """Written, then renamed: a killed run leaves the previous state whole. `vae` is the moving average."""
        partial = self._state_path.with_suffix(".partial")
        state = {"vae": self.average, "weights": self.vae.state_dict(), "adam": self.adam.state_dict()}
        torch.save(state | {"num_seen": self.num_seen}, partial)
        partial.rename(self._state_path)

    def run(self, *, num_pictures: int) -> None:
        """Train until `num_pictures` have been seen in all, counting earlier runs."""
        bar = tqdm(total=num_pictures, initial=self.num_seen, unit="picture", mininterval=5)
        losses: list[Tensor] = []
        while self.num_seen < num_pictures:
            losses.append(self._step(num_pictures=num_pictures))
            bar.update(BATCH_SIZE)
            step_index = self.num_seen // BATCH_SIZE
            if step_index % STEPS_PER_LOG == 0:
                self._log(torch.stack(losses).mean(0), bar)
                losses = []
            if step_index % STEPS_PER_SAVE == 0:
                self.save()
        self.save()
        bar.close()

    def _step(self, *, num_pictures: int) -> Tensor:
        rng = random.Random(self.num_seen)
        grid = rng.choices(list(PRESET_SHARES), list(PRESET_SHARES.values()))[0]
        code, target = (x.to(self.device) for x in draw_examples(self.code, rng, count=BATCH_SIZE, grid=grid))
        generator = torch.Generator("cpu").manual_seed(self.num_seen)
        noise = torch.randn(code.shape, generator=generator).to(self.device)
        strength = CODE_NOISE * torch.rand(BATCH_SIZE, 1, 1, 1, generator=generator).to(self.device)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            drawn = self.vae.decode_unscaled((code + strength * noise).to(memory_format=torch.channels_last))
        loss = picture_loss(drawn.float(), target)
        loss.backward()
        if self.num_seen // BATCH_SIZE % STEPS_PER_ENCODER_STEP == 0:
            self._read(target, code)
        self._move(rate_share(self.num_seen, num_pictures=num_pictures))
        self.num_seen += BATCH_SIZE
        return torch.stack([loss.detach(), F.mse_loss(drawn.detach().float(), target)])

    def _read(self, target: Tensor, code: Tensor) -> None:
        """Add the encoder's gradients."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            read = self.vae.encode(target.to(memory_format=torch.channels_last))
        loss = F.mse_loss(read.float(), code)
        loss.backward()
        self._encoder_error = float(loss.detach())

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
        loss, squared = losses.tolist()
        psnr = 10 * torch.log10(torch.tensor(4 / squared)).item()
        bar.set_postfix(loss=f"{loss:.4f}", psnr=f"{psnr:.2f}", encoder=f"{self._encoder_error:.4f}")
        row = {"seen": self.num_seen, "loss": loss, "psnr_db": psnr, "encoder": self._encoder_error}
        row["time"] = time.time()
        with (self.folder / "autoencoder.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
