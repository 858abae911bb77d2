"""Pictures for the judge: the wire's defaults, one seed, and the way from a raster to the detector. Judges nothing."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from danqing.hunyuan_image3.pipeline import Pipeline, Prefix, TextToImage
from danqing.training.scenes.grid import Grid
from danqing.training.scenes.render import render
from danqing.training.scenes.scene import Scene

Pixels = NDArray[np.uint8]  # [H, W, 3]

SEED = 1
NUM_STEPS = 28
GUIDANCE_SCALE = 7.5
WIDTH_PX, HEIGHT_PX = 640, 384
GRID = Grid(10, 6)
# The detector reads pictures of half the size.
REDUCTION = 2


def draw(
    pipeline: Pipeline,
    prompt: str,
    *,
    negative_prompt: str = "",
    num_steps: int = NUM_STEPS,
    guidance_scale: float = GUIDANCE_SCALE,
) -> Pixels:
    """The first picture of a prompt, at the bucket's own size."""
    prefix, latent = denoised(
        pipeline, prompt, negative_prompt=negative_prompt, num_steps=num_steps, guidance_scale=guidance_scale
    )
    return pipeline.decode(latent, prefix)


def denoised(
    pipeline: Pipeline,
    prompt: str,
    *,
    negative_prompt: str = "",
    num_steps: int = NUM_STEPS,
    guidance_scale: float = GUIDANCE_SCALE,
) -> tuple[Prefix, Tensor]:
    """The prompt as the pipeline read it, and the latent of that picture."""
    request = TextToImage(
        prompt=prompt,
        num_inference_steps=num_steps,
        guidance_scale=guidance_scale,
        negative_prompt=negative_prompt,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
    )
    prefix = pipeline.prefill(request)
    *_, last = pipeline.denoise(prefix, seed=SEED)
    return prefix, last.latent


def draw_scene(scene: Scene) -> Pixels:
    """What the world's own renderer makes of a scene, at the same size."""
    return render(scene, WIDTH_PX // GRID.columns)


def for_detector(pixels: Pixels) -> Tensor:
    """Float32 [3, H, W] from -1 to 1."""
    pixels_3HW = torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 127.5 - 1
    return F.avg_pool2d(pixels_3HW, REDUCTION)
