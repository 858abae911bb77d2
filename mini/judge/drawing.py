"""Pictures for the judge: one seed, the checkpoint's own defaults, and the conversion for the detector."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from danqing.hunyuan_image3.pipeline import Pipeline, Prefix, TextToImage
from mini.train.recipe import PIXELS_PER_TOKEN
from mini.world.render import render
from mini.world.scene import Grid, Scene

Pixels = NDArray[np.uint8]  # [H, W, 3]

SEED = 1
GRID = Grid(10, 6)
WIDTH_PX, HEIGHT_PX = GRID.columns * PIXELS_PER_TOKEN, GRID.rows * PIXELS_PER_TOKEN
# The detector reads pictures at a quarter of the size.
REDUCTION = 4


def draw(
    pipeline: Pipeline,
    prompt: str,
    *,
    negative_prompt: str = "",
    num_steps: int | None = None,
    guidance_scale: float | None = None,
) -> Pixels:
    """The first picture of a prompt, at the bucket's own size; the checkpoint has the defaults of the last two."""
    prefix, latent = denoised(
        pipeline, prompt, negative_prompt=negative_prompt, num_steps=num_steps, guidance_scale=guidance_scale
    )
    return pipeline.decode(latent, prefix)


def denoised(
    pipeline: Pipeline,
    prompt: str,
    *,
    negative_prompt: str = "",
    num_steps: int | None = None,
    guidance_scale: float | None = None,
) -> tuple[Prefix, Tensor]:
    """The prompt as the pipeline read it, and the latent of that picture."""
    defaults = pipeline.generation
    request = TextToImage(
        prompt=prompt,
        num_inference_steps=defaults.num_steps if num_steps is None else num_steps,
        guidance_scale=defaults.guidance_scale if guidance_scale is None else guidance_scale,
        negative_prompt=negative_prompt,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
    )
    prefix = pipeline.prefill(request)
    *_, last = pipeline.denoise(prefix, seed=SEED)
    return prefix, last.latent


def draw_scene(scene: Scene) -> Pixels:
    """The world's own picture of a scene, at the same size."""
    return render(scene, PIXELS_PER_TOKEN)


def for_detector(pixels: Pixels) -> Tensor:
    """Float32 [3, H, W] from -1 to 1."""
    pixels_3HW = torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 127.5 - 1
    return F.avg_pool2d(pixels_3HW, REDUCTION)
