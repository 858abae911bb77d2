"""What the service asks of anything that draws: values in, events out. Knows nothing of torch, processes or HTTP."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from danqing.errors import ServiceError

MAX_SEED = 2**63 - 1


def fold_seed(seed: int) -> int:
    """Map any integer from 1 up onto 1..2**63-1, leaving those as they are."""
    return 1 + (seed - 1) % MAX_SEED


@dataclass(frozen=True, kw_only=True)
class DrawRequest:
    """One request for `num_images` pictures; image i starts from the noise of `image_seed(i)`.

    `width_px` and `height_px` are delivered exactly; both None lets the model choose its own aspect ratio.
    `preview_every_steps` 0 means no previews.
    """

    job_id: str
    prompt: str
    negative_prompt: str
    width_px: int | None
    height_px: int | None
    num_images: int
    seed: int
    num_inference_steps: int
    guidance_scale: float
    preview_every_steps: int = 0

    def image_seed(self, image_index: int) -> int:
        """Give the seed of one image: image 2 of a seed is image 1 of the next, and after the largest comes 1."""
        return fold_seed(self.seed + image_index)


@dataclass(frozen=True, kw_only=True)
class Raster:
    """An RGB picture: 8 bits a channel, row-major, `len(rgb) == 3 * width_px * height_px`."""

    width_px: int
    height_px: int
    rgb: bytes


@dataclass(frozen=True, kw_only=True)
class Progress:
    """`step` of `num_steps` of image `image_index` is done (`step` counts from 1)."""

    image_index: int
    step: int
    num_steps: int
    preview: Raster | None = None


@dataclass(frozen=True, kw_only=True)
class ImageResult:
    """One finished picture."""

    image_index: int
    seed: int
    raster: Raster


class EngineState(StrEnum):
    """Where the engine stands; it can draw only when READY."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class EngineStatus:
    """`model` says which checkpoint really draws, in words for `meta.engine`; `detail` says why it is not ready."""

    state: EngineState
    model: str
    detail: str = ""


class EngineCrashed(ServiceError):
    """The drawing process ended unexpectedly and the job could not be completed."""

    code = "engine_crashed"


class NoCaption(ServiceError):
    """The model could not rewrite this prompt."""


class Engine(Protocol):
    """Draws. Closing the generator of `generate` cancels its job within one denoising step."""

    async def start(self) -> None:
        """Begin loading; returns at once. `status` tells when the engine is ready."""

    async def stop(self) -> None:
        """End the engine and whatever it still draws."""

    def status(self) -> EngineStatus:
        """Say where the engine stands now."""

    def generate(self, request: DrawRequest) -> AsyncGenerator[Progress | ImageResult, None]:
        """Draw the request's images; events of different images may interleave.

        Raises EngineCrashed when the drawing process died twice, Overloaded when the engine is not ready,
        InvalidRequest when the prompt does not fit the model's limits.
        """

    async def recaption(self, prompt: str, *, seed: int) -> str:
        """Rewrite a prompt in detail, the same way for the same seed. Cancelling ends the work within a few tokens.

        Raises NoCaption, with the reason, when the model cannot; EngineCrashed when its process died meanwhile;
        Overloaded when the engine is not ready.
        """
