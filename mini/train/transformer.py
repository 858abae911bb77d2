"""Training of the transformer: resumable, logged, bounded by samples or seconds."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.json_fields import read_json
from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.weights import load_model
from mini.train.checkpoint import model_config
from mini.train.dataset import IGNORED, Batch, Dataset, TextBatch
from mini.train.forward import forward, forward_text
from mini.train.layout_probe import LayoutProbe
from mini.train.network_start import can_open, open_straight_way
from mini.train.optimiser import Optimiser, Team
from mini.train.recipe import NUM_RATIOS, Budget, Recipe

PROBE = "probe"
STEPS_PER_LOG = 20
# Steps between two looks for new shards; the first look follows the first step, which takes long on a GPU.
STEPS_PER_REFRESH = 50
SECONDS_PER_SAVE = 120
FIRST_SNAPSHOT = 32_768
# Attention and shared experts start at zero, and so do the first predictions.
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
    """Logit-normal sigmas, [B], on the generator's device."""
    return torch.sigmoid(centre + spread * torch.randn(count, generator=generator, device=generator.device))


@dataclass(frozen=True)
class Losses:
    """`total` is trained; the others are parts of it, for the log."""

    total: Tensor
    velocity: Tensor
    probe: Tensor


def loss_of(
    model: HunyuanImage3,
    probe: LayoutProbe,
    batch: Batch,
    recipe: Recipe,
    *,
    generator: torch.Generator,
    fused: bool = False,
) -> Losses:
    """Velocity, next token of the prompt, experts' balance and layout of one batch."""
    device = model.device
    clean = batch.latent_BChw.to(device).float()
    sigma_B = noise_levels(len(clean), centre=recipe.noise_centre, spread=recipe.noise_spread, generator=generator)
    noise = torch.randn(clean.shape, generator=generator, device=device)
    sigma = sigma_B[:, None, None, None]
    noisy = (1 - sigma) * clean + sigma * noise
    dropped_B1 = torch.rand(len(clean), 1, generator=generator, device=device) < recipe.unconditional_share
    ids = torch.where(dropped_B1, batch.unconditional_ids_BL.to(device), batch.token_ids_BL.to(device))
    num_pads = batch.num_pads_B.to(device)
    out = forward(model, ids, num_pads, noisy, 1000 * sigma_B, probe_layer=recipe.probe_layer_index, fused=fused)
    labels = batch.labels_Bhw2.to(device)
    error_BChw = (out.velocity - (noise - clean)).square()
    # Things cover few cells of a picture but are most of what there is to learn.
    weight_B1hw = torch.where(labels[..., 1] > 0, recipe.thing_weight, 1.0)[:, None]
    weighted_loss = (error_BChw * weight_B1hw).mean() / weight_B1hw.mean()
    velocity_loss = error_BChw.detach().mean()
    is_padding = torch.arange(ids.shape[1], device=device) < num_pads[:, None]
    targets = ids.masked_fill(is_padding, IGNORED)[:, 1:]
    text_loss = next_word_loss(out.text_logits[:, :-1], targets)
    probe_loss = probe.loss(out.probed, labels)
    total = weighted_loss + recipe.text_weight * text_loss + recipe.balance_weight * out.balance
    return Losses(total + recipe.probe_weight * probe_loss, velocity_loss, probe_loss.detach())


def next_word_loss(logits_BLV: Tensor, targets_BL: Tensor) -> Tensor:
    """Cross entropy among all tokens but the sizes, the vocabulary's last. These are fitted afterwards
    (size_choice.py), and a finished checkpoint's rows for them would drown what else there is to learn."""
    num_words = logits_BLV.shape[-1] - NUM_RATIOS
    words_BL = targets_BL.masked_fill(targets_BL >= num_words, IGNORED)
    return F.cross_entropy(logits_BLV[..., :num_words].flatten(0, 1), words_BL.flatten(), ignore_index=IGNORED)


def expansion_loss(
    model: HunyuanImage3, batch: TextBatch, recipe: Recipe, *, fused: bool = False
) -> tuple[Tensor, Tensor]:
    """The loss of a text batch, weighted, and the cross entropy alone."""
    logits, balance = forward_text(model, batch.token_ids_BL.to(model.device), fused=fused)
    entropy = next_word_loss(logits, batch.targets_BL.to(model.device))
    return recipe.expansion_weight * entropy + recipe.balance_weight * balance, entropy.detach()


def rate_share(done: float, *, num_seen: int, recipe: Recipe) -> float:
    """Linear warm-up, constant, linear decay over the last part; `done` is the share of the run that is over."""
    warmup = min(1.0, (num_seen / recipe.batch_size + 1) / recipe.num_warmup_steps)
    return warmup * max(0.0, min(1.0, (1 - done) / recipe.decay_share))


@dataclass
class Progress:
    """Where the loop stands; saved with the weights."""

    step_index: int = 0
    num_seen: int = 0
    seconds: float = 0.0


class TransformerTraining:
    """One run in one folder: `transformer.pt` is its state, `transformer.jsonl` its log, `snapshots/` the averaged
    weights whenever the samples seen have doubled."""

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        *,
        dtype: torch.dtype,
        device: torch.device,
        team: Team | None = None,
        fused: bool = False,
    ) -> None:
        self.recipe, self.folder, self.team, self.fused = recipe, folder, team or Team(), fused
        self.model = new_network(recipe, dtype=dtype, device=device)
        self.probe = LayoutProbe(recipe.hidden_size).to(device)
        self.optimiser = Optimiser(
            {**dict(self.model.named_parameters()), **dict(self.probe.named_parameters(prefix=PROBE))},
            muon_rate=recipe.muon_rate,
            adam_rate=recipe.adam_rate,
            adam_betas=recipe.adam_betas,
            ema_decay=recipe.ema_decay,
            team=self.team,
        )
        self.progress = Progress()
        self._has_started = False
        self._expansion_entropy = torch.tensor(float("nan"))
        self._state_path = folder / "transformer.pt"
        if self._state_path.exists():
            state = torch.load(self._state_path, map_location=device)
            self.optimiser.restore(state["optimiser"])
            self.progress = Progress(**state["progress"])

    def start_from(self, checkpoint: Path) -> None:
        """Begin a new run with a finished checkpoint's weights; one that has begun already goes on as it was."""
        self._has_started = True
        if self.progress.step_index > 0:
            return
        config = parse_model_config(read_json(checkpoint / "config.json"))
        finished = load_model(checkpoint, config, precision=Precision.FLOAT32, device=self.model.device)
        self.model.load_state_dict(finished.state_dict())
        self.optimiser.adopt_weights()

    def save(self) -> None:
        """Written, then renamed: a killed run leaves the previous state whole."""
        if not self.team.leads:
            return
        partial = self._state_path.with_suffix(".partial")
        torch.save({"optimiser": self.optimiser.state(), "progress": vars(self.progress)}, partial)
        partial.rename(self._state_path)

    def network(self) -> dict[str, Tensor]:
        """The averaged weights without the probe's, float32 on the CPU."""
        averaged = self.optimiser.averaged().items()
        return {name: value.cpu() for name, value in averaged if not name.startswith(PROBE)}

    def run(self, dataset: Dataset, budget: Budget) -> None:
        """Train until the budget is used up, counting earlier runs."""
        if budget.seconds is not None and self.team.size > 1:
            raise ValueError("a team needs a number of samples: its members' clocks differ")
        dataset.refresh()
        if self.progress.step_index == 0 and not self._has_started and can_open(self.model):
            open_straight_way(self.model, dataset.spread())
            self.optimiser.adopt_weights()
        bar = tqdm(initial=self.progress.num_seen, unit="sample", mininterval=5, disable=not self.team.leads)
        losses: list[Tensor] = []
        last_save = last_step = time.monotonic()
        while (done := budget.share_done(num_seen=self.progress.num_seen, seconds=self.progress.seconds)) < 1:
            losses.append(self._step(dataset, done=done))
            bar.update(self.recipe.batch_size)
            now = time.monotonic()
            self.progress.seconds, last_step = self.progress.seconds + now - last_step, now
            if self.progress.step_index % STEPS_PER_LOG == 0:
                self._log(torch.stack(losses).mean(0).tolist(), bar)
                losses = []
            if self.progress.step_index % STEPS_PER_REFRESH == 1:
                dataset.refresh()
            if now - last_save > SECONDS_PER_SAVE:
                self.save()
                last_save = now
        self.save()
        bar.close()

    def _step(self, dataset: Dataset, *, done: float) -> Tensor:
        recipe, step_index = self.recipe, self.progress.step_index
        # All members of a team plan the same batch; noise is each one's own.
        plan = torch.Generator().manual_seed(step_index)
        generator = torch.Generator(self.model.device).manual_seed(step_index * self.team.size + self.team.rank)
        mine = dataset.batch(plan, batch_size=recipe.batch_size).share(self.team.rank, self.team.size)
        losses = loss_of(self.model, self.probe, mine, recipe, generator=generator, fused=self.fused)
        losses.total.backward()
        if step_index % recipe.steps_per_text_batch == 0:
            own_plan = torch.Generator().manual_seed(step_index * self.team.size + self.team.rank)
            text_batch = dataset.text_batch(own_plan, batch_size=recipe.batch_size // 2 // self.team.size)
            loss, self._expansion_entropy = expansion_loss(self.model, text_batch, recipe, fused=self.fused)
            loss.backward()
        share = rate_share(done, num_seen=self.progress.num_seen, recipe=recipe)
        self.optimiser.step(rate_share=share, step_index=step_index)
        self.progress.step_index += 1
        self.progress.num_seen += recipe.batch_size
        self._keep_snapshot()
        return torch.stack([losses.velocity, losses.probe])

    def _keep_snapshot(self) -> None:
        seen, before = self.progress.num_seen, self.progress.num_seen - self.recipe.batch_size
        has_doubled = (seen // FIRST_SNAPSHOT).bit_length() > (before // FIRST_SNAPSHOT).bit_length()
        if self.team.leads and has_doubled:
            path = self.folder / "snapshots" / f"{seen:09d}.pt"
            path.parent.mkdir(exist_ok=True)
            torch.save({name: value.bfloat16() for name, value in self.network().items()}, path.with_suffix(".partial"))
            path.with_suffix(".partial").rename(path)

    def _log(self, losses: list[float], bar: "tqdm[Never]") -> None:
        if not self.team.leads:
            return
        velocity, probe = losses
        expansion = float(self._expansion_entropy)
        bar.set_postfix(loss=f"{velocity:.4f}", probe=f"{probe:.3f}", expansion=f"{expansion:.3f}")
        row = {"step": self.progress.step_index, "seen": self.progress.num_seen, "loss": velocity, "probe": probe}
        row |= {"expansion": expansion, "seconds": round(self.progress.seconds, 1), "time": time.time()}
        with (self.folder / "transformer.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
