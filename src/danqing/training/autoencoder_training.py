"""Trains the checkpoint's decoder and encoder to write and read the linear code. Knows nothing of prompts.

The decoder sees the code of half-size pictures and must draw them at full size. It starts as the best linear decoder
(decoder_start.py) and learns to sharpen. Some noise
on the code keeps it calm about the small errors of generated latents.
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
from danqing.training.dataset import draw_samples
from danqing.training.decoder_start import fit_synthesis, start_linear
from danqing.training.latents import LinearCode, half_size
from danqing.training.recipe import BUCKET_SHARES, Recipe, model_config

BATCH_SIZE = 8
# The residual blocks learn; the linear decoder around them, which is nearly right, only gives way a little.
BLOCK_RATE, LINEAR_RATE = 1e-3, 1e-5
NUM_WARMUP_STEPS = 50
CODE_NOISE = 0.5
EDGE_WEIGHT = 1.0
# Drawing pictures does not need the encoder, so it gets the smaller part of the time.
STEPS_PER_ENCODER_STEP = 4
NUM_SYNTHESIS_PICTURES = 768
STEPS_PER_SAVE = 100
STEPS_PER_LOG = 10


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
    """Linear warm-up, then linear decay to zero."""
    warmup = min(1.0, (num_seen / BATCH_SIZE + 1) / NUM_WARMUP_STEPS)
    return warmup * max(0.0, 1 - num_seen / num_pictures)


def is_linear(name: str) -> bool:
    """Whether a parameter belongs to the linear path of the decoder."""
    return name.startswith("decoder.") and ".block" not in name and ".attn" not in name


def new_adam(vae: Vae) -> torch.optim.AdamW:
    """Two groups, each with its `peak` rate."""
    linear = [p for name, p in vae.named_parameters() if is_linear(name)]
    blocks = [p for name, p in vae.named_parameters() if not is_linear(name)]
    groups = [{"params": blocks, "peak": BLOCK_RATE}, {"params": linear, "peak": LINEAR_RATE}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)


class AutoencoderTraining:
    """One run in one folder: `autoencoder.pt` is its state, `autoencoder.jsonl` its log."""

    def __init__(self, recipe: Recipe, folder: Path, *, dtype: torch.dtype, device: torch.device) -> None:
        torch.manual_seed(0)
        self.folder, self.dtype, self.device = folder, dtype, device
        self.vae = Vae(model_config(recipe).vae).to(device)
        self.code = LinearCode.load(folder / "code.safetensors")
        self.adam = new_adam(self.vae)
        self.num_seen = 0
        self._encoder_error = float("nan")
        self._state_path = folder / "autoencoder.pt"
        if self._state_path.exists():
            state = torch.load(self._state_path)
            self.vae.load_state_dict(state["vae"])
            self.adam.load_state_dict(state["adam"])
            self.num_seen = state["num_seen"]
        else:
            start_linear(self.vae.decoder, fit_synthesis(self.code, num_pictures=NUM_SYNTHESIS_PICTURES))

    def save(self) -> None:
        """Written, then renamed: a killed run leaves the previous state whole."""
        partial = self._state_path.with_suffix(".partial")
        state = {"vae": self.vae.state_dict(), "adam": self.adam.state_dict(), "num_seen": self.num_seen}
        torch.save(state, partial)
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
        width_px, height_px = rng.choices(list(BUCKET_SHARES), list(BUCKET_SHARES.values()))[0]
        pictures, _ = draw_samples(rng, BATCH_SIZE, width_px=width_px, height_px=height_px)
        target = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(self.device).float() / 127.5 - 1
        code = self.code.encode(half_size(pictures)).to(self.device)
        generator = torch.Generator("cpu").manual_seed(self.num_seen)
        noise = torch.randn(code.shape, generator=generator).to(self.device)
        strength = CODE_NOISE * torch.rand(BATCH_SIZE, 1, 1, 1, generator=generator).to(self.device)
        for group in self.adam.param_groups:
            group["lr"] = group["peak"] * rate_share(self.num_seen, num_pictures=num_pictures)
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            drawn = self.vae.decode_unscaled((code + strength * noise).to(memory_format=torch.channels_last))
        loss = picture_loss(drawn.float(), target)
        loss.backward()
        if self.num_seen // BATCH_SIZE % STEPS_PER_ENCODER_STEP == 0:
            self._read(target, code)
        self.adam.step()
        self.adam.zero_grad()
        self.num_seen += BATCH_SIZE
        return torch.stack([loss.detach(), F.mse_loss(drawn.detach().float(), target)])

    def _read(self, target: Tensor, code: Tensor) -> None:
        """Add the encoder's gradients."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            read = self.vae.encode(target.to(memory_format=torch.channels_last))
        loss = F.mse_loss(read.float(), code)
        loss.backward()
        self._encoder_error = float(loss.detach())

    def _log(self, losses: Tensor, bar: "tqdm[Never]") -> None:
        loss, squared = losses.tolist()
        psnr = 10 * torch.log10(torch.tensor(4 / squared)).item()
        bar.set_postfix(loss=f"{loss:.4f}", psnr=f"{psnr:.2f}", encoder=f"{self._encoder_error:.4f}")
        row = {"seen": self.num_seen, "loss": loss, "psnr_db": psnr, "encoder": self._encoder_error}
        row["time"] = time.time()
        with (self.folder / "autoencoder.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
