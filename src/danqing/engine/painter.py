"""The painter: the model's pipeline behind the interleaver's protocol, requests in, rasters out.

The only module of the engine that imports torch; the worker imports it when it loads the model.
"""

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from danqing.engine.interleaver import PromptRejected
from danqing.engine.messages import LoadStage
from danqing.engine.worker_options import WorkerOptions
from danqing.hunyuan_image3.errors import (
    CaptionError,
    CheckpointError,
    CompilationFailed,
    PromptTooLong,
    UnsuitableSetting,
    UnsupportedDevice,
)
from danqing.hunyuan_image3.generation_config import TextTask
from danqing.hunyuan_image3.model import num_parameters
from danqing.hunyuan_image3.pipeline import Pipeline, Prefix, TextToImage
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.prompt_reading import PromptSettings
from danqing.hunyuan_image3.sampler import DenoiseStep
from danqing.hunyuan_image3.step_reuse import StepReuse
from danqing.pictures.raster import Raster
from danqing.pictures.request import Expansion, ImageRequest

# The operations of smaller networks are so short that on a CPU a second thread saves a sixth of the time on a quiet
# machine and costs a third on a busy one; see results/2026-11-28-threads.md.
MIN_PARAMETERS_FOR_THREADS = 100_000_000
# What operators call the fields of `PromptSettings` that a checkpoint may be unable to follow.
PROMPT_SETTINGS = {"system_prompt": "DANQING_SYSTEM_PROMPT", "text_task": "DANQING_EXPANSION_TASK"}


@dataclass(frozen=True)
class Prepared:
    """A request and its prefix."""

    request: ImageRequest
    prefix: Prefix


class PipelinePainter:
    """The native HunyuanImage-3.0 pipeline behind the interleaver's protocol."""

    # After such an error the accelerator refuses all further work of this process.
    fatal_errors: tuple[type[Exception], ...] = (torch.AcceleratorError,)

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    @classmethod
    def load(cls, options: WorkerOptions, *, on_progress: Callable[[LoadStage, int, int], None]) -> "PipelinePainter":
        """Load the checkpoint; without a `precision`, as it is stored or in the fastest one.

        With a kernel folder, compile the network's regions too.
        Raises CheckpointError, PlacementError, UnsupportedDevice and CompilationFailed, naming the setting at fault.
        """
        try:
            pipeline = Pipeline.load(
                options.model,
                precision=Precision(options.precision) if options.precision else None,
                device=options.device,
                device_memory=options.device_memory,
                host_memory=options.host_memory,
                prompt_settings=_prompt_settings(options),
                on_progress=partial(on_progress, LoadStage.LOADING),
            )
        except UnsupportedDevice as error:
            raise UnsupportedDevice(f"DANQING_PRECISION is {options.precision}: {error}") from None
        except UnsuitableSetting as error:
            raise CheckpointError(f"{PROMPT_SETTINGS[error.setting]} is {error.value}: {error}") from None
        if num_parameters(pipeline.config) < MIN_PARAMETERS_FOR_THREADS and "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(1)
        if options.kernel_folder is not None:
            try:
                pipeline.fuse(partial(on_progress, LoadStage.COMPILING))
            except CompilationFailed as error:
                raise CompilationFailed(f"DANQING_COMPILE is true: {error}") from error
        return cls(pipeline)

    @property
    def description(self) -> str:
        """The checkpoint in words: its name, size, precision and device."""
        return self._pipeline.description

    def prefill(self, request: ImageRequest, *, expansion: Expansion | None) -> Generator[None, None, Prepared]:
        """Compute the text prefix of the request and its expansion, a piece at a time. Raises PromptRejected."""
        # Fields of the same name pass as they are, so that a new one needs no line here.
        values = asdict(request) | ({} if expansion is None else _given(expansion))
        values["step_reuse"] = StepReuse(request.step_reuse)
        shared = {field.name: values[field.name] for field in fields(TextToImage) if field.name in values}
        with _rejections():
            return Prepared(request, (yield from self._pipeline.prefill_by_piece(TextToImage(**shared))))

    def denoise(self, prepared: Prepared, *, image_index: int) -> Iterator[DenoiseStep]:
        """Denoise one image, a step at a time."""
        return self._pipeline.denoise(prepared.prefix, seed=prepared.request.image_seed(image_index))

    def decode(self, latent: Tensor, prepared: Prepared) -> Raster:
        """Turn a finished latent into an image of exactly the requested size."""
        return _raster(self._pipeline.decode(latent, prepared.prefix))

    def preview(self, step: DenoiseStep) -> Raster:
        """Turn a running step into a small version of the image it is heading for."""
        return _raster(self._pipeline.preview(step))

    def expand(self, request: ImageRequest) -> Generator[int | None, None, Expansion]:
        """Expand the request's prompt, a token at a time, with None after a piece of it. Raises PromptRejected."""
        with _rejections():
            written = yield from self._pipeline.expand_by_token(
                request.prompt, seed=request.seed, choose_size=request.width_px is None
            )
        return Expansion(
            caption=written.caption,
            thought=written.thought,
            width_px=written.bucket.width_px if written.bucket else None,
            height_px=written.bucket.height_px if written.bucket else None,
        )


def _prompt_settings(options: WorkerOptions) -> PromptSettings:
    return PromptSettings(
        system_prompt=options.system_prompt,
        system_prompt_text=options.system_prompt_text,
        text_task=TextTask(options.expansion_task) if options.expansion_task else None,
    )


def _given(expansion: Expansion) -> dict[str, object]:
    """The expansion's texts, and its size where the model chose one."""
    return {name: value for name, value in asdict(expansion).items() if value is not None}


@contextmanager
def _rejections() -> Iterator[None]:
    try:
        yield
    except PromptTooLong as error:
        raise PromptRejected(str(error), field=error.field) from error
    except CaptionError as error:
        raise PromptRejected(str(error)) from error


def _raster(image_HWC: NDArray[np.uint8]) -> Raster:
    height_px, width_px, _ = image_HWC.shape
    return Raster(width_px=width_px, height_px=height_px, rgb=image_HWC.tobytes())
