"""Fits the model's pipeline to the drawing process: requests in, pictures out. Knows nothing of turns or pipes.

The only module of the engine that reaches torch; the worker imports it when it loads the model.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from danqing.engine.interleaver import PromptRejected
from danqing.hunyuan_image3.errors import CaptionError, PromptTooLong, UnsupportedDevice
from danqing.hunyuan_image3.pipeline import Pipeline, Prefix, TextToImage
from danqing.hunyuan_image3.precision import FP8
from danqing.hunyuan_image3.sampler import DenoiseStep
from danqing.pictures.raster import Raster
from danqing.pictures.request import ImageRequest

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "fp8": FP8}


class PipelinePainter:
    """The native HunyuanImage-3.0 pipeline as the interleaver wants it."""

    # After such an error the accelerator refuses all further work of this process.
    fatal_errors: tuple[type[Exception], ...] = (torch.AcceleratorError,)

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    @classmethod
    def load(
        cls, folder: Path, *, device: str, dtype: str | None, on_progress: Callable[[int, int], None]
    ) -> "PipelinePainter":
        """Load the checkpoint in `folder`; without a `dtype`, in the fastest one.

        Raises CheckpointError, and UnsupportedDevice naming the setting.
        """
        torch_dtype = _DTYPES[dtype] if dtype else None
        try:
            return cls(Pipeline.load(folder, dtype=torch_dtype, device=device, on_progress=on_progress))
        except UnsupportedDevice as error:
            raise UnsupportedDevice(f"DANQING_DTYPE is {dtype}: {error}") from None

    @property
    def description(self) -> str:
        """Say in words which checkpoint draws, and how."""
        return self._pipeline.description

    def prefill(self, request: ImageRequest) -> Prefix:
        """Compute the request's text prefix. Raises PromptRejected."""
        text_to_image = TextToImage(
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            width_px=request.width_px,
            height_px=request.height_px,
            seed=request.seed,
            num_inference_steps=request.num_inference_steps,
            guidance_scale=request.guidance_scale,
        )
        with _rejections():
            return self._pipeline.prefill(text_to_image)

    def denoise(self, prefix: Prefix, *, image_index: int) -> Iterator[DenoiseStep]:
        """Denoise one image, a step at a time."""
        return self._pipeline.denoise(prefix, image_index=image_index)

    def decode(self, latent: Tensor, *, width_px: int | None, height_px: int | None) -> Raster:
        """Turn a finished latent into a picture of exactly this size."""
        return _raster(self._pipeline.decode(latent, width_px=width_px, height_px=height_px))

    def preview(self, step: DenoiseStep) -> Raster:
        """Turn a running step into a small picture of what the image is heading for."""
        return _raster(self._pipeline.preview(step))

    def write(self, prompt: str, *, seed: int) -> Iterator[int]:
        """Rewrite the prompt in detail, a token at a time. Raises PromptRejected."""
        with _rejections():
            yield from self._pipeline.write_caption(prompt, seed=seed)

    def caption(self, token_ids: Sequence[int]) -> str:
        """Turn what was written into text. Raises PromptRejected when it is no caption."""
        with _rejections():
            return self._pipeline.read_caption(token_ids)


@contextmanager
def _rejections() -> Iterator[None]:
    try:
        yield
    except (PromptTooLong, CaptionError) as error:
        raise PromptRejected(str(error)) from error


def _raster(picture_HWC: NDArray[np.uint8]) -> Raster:
    height_px, width_px, _ = picture_HWC.shape
    return Raster(width_px=width_px, height_px=height_px, rgb=picture_HWC.tobytes())
