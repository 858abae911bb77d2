"""The training loop of the transformer: resumable, logged, bounded by a number of samples. Knows no autoencoder."""

import json
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.training.dataset import Batch, Dataset
from danqing.training.forward import forward
from danqing.training.optimiser import Optimiser
from danqing.training.recipe import Recipe, model_config

STEPS_PER_SAVE = 200
STEPS_PER_LOG = 20
# Attention and shared experts start as nothing, and so do the first predictions.
ZERO_AT_START = ("o_proj.weight", "down_proj.weight")
ZERO_OUTPUTS = ("lm_head", "final_layer.model.1.2")


def new_network(recipe: Recipe, *, dtype: torch.dtype, device: torch.device) -> HunyuanImage3:
    """The network with random parameters and without gradients for the autoencoder, which has its own training."""
    torch.manual_seed(0)
    model = HunyuanImage3(model_config(recipe))
    for name, parameter in model.named_parameters():
        if ".experts." in name:
            nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
        elif name == "model.wte.weight":
            nn.init.normal_(parameter, std=0.5)
        elif name.endswith(ZERO_AT_START) or name.startswith(ZERO_OUTPUTS):
            nn.init.zeros_(parameter)
        parameter.requires_grad_(not name.startswith("vae."))
    for name, parameter in model.named_parameters():
        if ".gate." not in name:
            parameter.data = parameter.data.to(dtype)
    return model.to(device)


def noise_levels(count: int, *, centre: float, spread: float, generator: torch.Generator) -> Tensor:
    """Logit-normal sigmas, [B]."""
    return torch.sigmoid(centre + spread * torch.randn(count, generator=generator))


def loss_of(model: HunyuanImage3, batch: Batch, recipe: Recipe, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The training loss and, apart, its velocity term."""
    B = len(batch.latent_BChw)
    sigma_B = noise_levels(B, centre=recipe.noise_centre, spread=recipe.noise_spread, generator=generator)
    clean = batch.latent_BChw.float()
    noise = torch.randn(clean.shape, generator=generator)
    sigma = sigma_B[:, None, None, None]
    noisy = (1 - sigma) * clean + sigma * noise
    dropped_B1 = torch.rand(B, 1, generator=generator) < recipe.unconditional_share
    ids = torch.where(dropped_B1, batch.unconditional_ids_BL, batch.token_ids_BL).to(model.device)
    out = forward(model, ids, noisy.to(model.device), (1000 * sigma_B).to(model.device))
    velocity_loss = F.mse_loss(out.velocity, (noise - clean).to(model.device))
    text_loss = F.cross_entropy(out.text_logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    loss = velocity_loss + recipe.text_weight * text_loss + recipe.balance_weight * out.balance
    return loss, velocity_loss.detach()


def rate_share(num_seen: int, *, num_samples: int, recipe: Recipe) -> float:
    """Linear warm-up, constant, linear decay over the last part."""
    warmup = min(1.0, (num_seen / recipe.batch_size + 1) / recipe.num_warmup_steps)
    left = (num_samples - num_seen) / (recipe.decay_share * num_samples)
    return warmup * max(0.0, min(1.0, left))


@dataclass
class Progress:
    """Where the loop stands; saved with the weights."""

    step_index: int = 0
    num_seen: int = 0


class TransformerTraining:
    """One run in one folder: `transformer.pt` is its state, `transformer.jsonl` its log."""

    def __init__(self, recipe: Recipe, folder: Path, *, dtype: torch.dtype, device: torch.device) -> None:
        self.recipe, self.folder = recipe, folder
        self.model = new_network(recipe, dtype=dtype, device=device)
        self.optimiser = Optimiser(
            self.model,
            muon_rate=recipe.muon_rate,
            adam_rate=recipe.adam_rate,
            adam_betas=recipe.adam_betas,
            ema_decay=recipe.ema_decay,
        )
        self.progress = Progress()
        self._state_path = folder / "transformer.pt"
        if self._state_path.exists():
            state = torch.load(self._state_path)
            self.optimiser.restore(state["optimiser"])
            self.progress = Progress(**state["progress"])

    def save(self) -> None:
        """Written, then renamed: a killed run leaves the previous state whole."""
        partial = self._state_path.with_suffix(".partial")
        torch.save({"optimiser": self.optimiser.state(), "progress": vars(self.progress)}, partial)
        partial.rename(self._state_path)

    def run(self, dataset: Dataset, *, num_samples: int) -> None:
        """Train until `num_samples` have been seen in all, counting earlier runs."""
        bar = tqdm(total=num_samples, initial=self.progress.num_seen, unit="sample", mininterval=5)
        losses: list[float] = []
        while self.progress.num_seen < num_samples:
            dataset.refresh()
            rng = random.Random(self.progress.step_index)
            for batch in dataset.epoch(rng, batch_size=self.recipe.batch_size):
                losses.append(self._step(batch, num_samples=num_samples))
                bar.update(len(batch.latent_BChw))
                if self.progress.step_index % STEPS_PER_LOG == 0:
                    self._log(sum(losses) / len(losses), bar)
                    losses = []
                if self.progress.step_index % STEPS_PER_SAVE == 0:
                    self.save()
                    dataset.refresh()
                if self.progress.num_seen >= num_samples:
                    break
        self.save()
        bar.close()

    def _step(self, batch: Batch, *, num_samples: int) -> float:
        generator = torch.Generator("cpu").manual_seed(self.progress.step_index)
        loss, velocity_loss = loss_of(self.model, batch, self.recipe, generator=generator)
        loss.backward()
        share = rate_share(self.progress.num_seen, num_samples=num_samples, recipe=self.recipe)
        self.optimiser.step(rate_share=share, step_index=self.progress.step_index)
        self.progress.step_index += 1
        self.progress.num_seen += len(batch.latent_BChw)
        return float(velocity_loss)

    def _log(self, loss: float, bar: "tqdm[Never]") -> None:
        bar.set_postfix(loss=f"{loss:.4f}")
        row = {"step": self.progress.step_index, "seen": self.progress.num_seen, "loss": loss, "time": time.time()}
        with (self.folder / "transformer.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
