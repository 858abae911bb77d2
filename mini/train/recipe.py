"""The recipe of `mini`: every number of it, and how long a run lasts.

docs/log.md gives the reasons for these numbers.
"""

from dataclasses import dataclass, replace

from danqing.hunyuan_image3.resolution import Buckets
from mini.world.scene import Grid

BASE_SIZE_PX = 1024
PIXELS_PER_TOKEN = 128
NUM_RATIOS = 33
# What the checkpoint draws with unless asked otherwise; `generation_config.json` carries them.
NUM_STEPS = 28
GUIDANCE_SCALE = 7.5

BUCKETS = Buckets(base_size_px=BASE_SIZE_PX, pixels_per_token=PIXELS_PER_TOKEN)
# The probability of each grid: the API's presets first, then all the others.
PRESET_SHARES = {Grid(10, 6): 0.40, Grid(8, 8): 0.27, Grid(6, 10): 0.08, Grid(9, 7): 0.08, Grid(7, 9): 0.07}
OTHERS = [
    grid
    for bucket in BUCKETS.usable
    if (grid := Grid(bucket.width_px // PIXELS_PER_TOKEN, bucket.height_px // PIXELS_PER_TOKEN)) not in PRESET_SHARES
]
GRID_SHARES = PRESET_SHARES | {grid: 0.10 / len(OTHERS) for grid in OTHERS}

# Of the full rates, when training continues from a finished checkpoint.
FINISHING_RATE = 0.1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Sizes and rates; the defaults are the shipped checkpoint's."""

    vocabulary_size: int = 1536
    hidden_size: int = 256
    num_layers: int = 6
    num_experts: int = 4
    num_experts_per_token: int = 2
    expert_width: int = 240
    patch_embed_hidden_size: int = 320
    latent_channels: int = 128
    vae_block_channels: tuple[int, ...] = (64, 64, 64, 128)
    # Few points at high resolution: on a CPU the wide layers are cheap only where the grid is coarse.
    vae_output_patch_size: int = 16

    batch_size: int = 64
    muon_rate: float = 0.02
    adam_rate: float = 1.5e-3
    adam_betas: tuple[float, float] = (0.9, 0.98)
    num_warmup_steps: int = 100
    decay_share: float = 0.3
    ema_decay: float = 0.998
    balance_weight: float = 0.01
    text_weight: float = 0.02
    # The probe reads what this layer writes.
    probe_layer_index: int = 2
    probe_weight: float = 0.1
    # The weight of cells that show things; cells of the place weigh 1.
    thing_weight: float = 3.0
    # Short prompts with their detailed captions: one such batch every so many steps.
    steps_per_text_batch: int = 2
    expansion_weight: float = 0.3
    unconditional_share: float = 0.1
    # Noise levels are logit-normal. Layout is decided above sigma 0.9, so the centre is high; what is left of the noise
    # below 0.4 stays in the picture as grain, so the spread is wide.
    noise_centre: float = 1.0
    noise_spread: float = 1.4


def finishing(recipe: Recipe) -> Recipe:
    """The recipe for continuing from a finished checkpoint: lower rates that fall from the start, no probe, and fewer
    expansions, which are known best."""
    return replace(
        recipe,
        muon_rate=FINISHING_RATE * recipe.muon_rate,
        adam_rate=FINISHING_RATE * recipe.adam_rate,
        decay_share=1.0,
        probe_weight=0.0,
        steps_per_text_batch=2 * recipe.steps_per_text_batch,
    )


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A number of samples or of seconds of training, including the earlier parts of a resumed run."""

    num_samples: int | None = None
    seconds: float | None = None

    def share_done(self, *, num_seen: int, seconds: float) -> float:
        """The share of it that is used up; 1 is all."""
        shares = [0.0]
        if self.num_samples is not None:
            shares.append(num_seen / self.num_samples)
        if self.seconds is not None:
            shares.append(seconds / self.seconds)
        return max(shares)
