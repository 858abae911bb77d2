"""Codes of known scenes as a finished checkpoint draws them, for the decoder to learn from.

Noise is put on a scene's code, and the last steps of a request take it off again. The result shows the same scene with
the network's own errors, which are several times as large as any noise that a decoder should blur away.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from danqing.hunyuan_image3.model import Branch
from danqing.hunyuan_image3.pieces import finish
from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.prompt_template import Prompt
from danqing.hunyuan_image3.sampler import Conditions, denoise, schedule
from mini.world.captions import caption
from mini.world.scene import Grid, Scene

# At these levels layout and things are settled, and shapes are not.
HIGHEST_SIGMA, LOWEST_SIGMA = 0.87, 0.5


class Redrawing:
    """One checkpoint, which must speak the code that it is given."""

    def __init__(self, checkpoint: Path) -> None:
        self._pipeline = Pipeline.load(checkpoint, precision=Precision.FLOAT32)

    @torch.inference_mode()
    def redraw(self, scenes: Sequence[Scene], code: Tensor, rng: random.Random) -> Tensor:
        """Codes [B, C, h, w] of these scenes, drawn anew from their captions."""
        return torch.cat([self._one(scene, own, rng) for scene, own in zip(scenes, code.split(1), strict=True)])

    def _one(self, scene: Scene, code: Tensor, rng: random.Random) -> Tensor:
        pipeline, defaults = self._pipeline, self._pipeline.generation
        branches = self._branches(Prompt(text=caption(scene, rng)), scene.grid)

        def predict(latent: Tensor, at: Conditions) -> Tensor:
            guided = at.t > 1000 * defaults.guidance_min_sigma
            return pipeline.model.velocity(latent, at, branches if guided else branches[:1])

        sigmas = schedule(defaults.num_steps, shift=defaults.flow_shift)
        sigmas = sigmas[sigmas <= rng.uniform(LOWEST_SIGMA, HIGHEST_SIGMA)]
        noise = torch.randn(code.shape, generator=torch.Generator().manual_seed(rng.getrandbits(32)))
        *_, last = denoise(
            predict,
            (1 - sigmas[0]) * code + sigmas[0] * noise,
            sigmas=sigmas,
            guidance_scale=defaults.guidance_scale,
            max_push=defaults.guidance_max_push,
        )
        return last.latent

    def _branches(self, prompt: Prompt, grid: Grid) -> list[Branch]:
        """The conditional and the unconditional one."""
        pipeline = self._pipeline
        factor = pipeline.config.vae.spatial_factor
        bucket = pipeline.buckets.nearest(width_px=grid.columns * factor, height_px=grid.rows * factor)
        template = pipeline.template
        return [
            finish(pipeline.model.branch_by_piece(prefix, height=grid.rows, width=grid.columns))
            for prefix in (template.image_prefix(prompt, bucket), template.unconditional_prefix(prompt, bucket))
        ]
