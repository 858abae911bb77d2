"""What the service asks of anything that draws: values in, events out. Knows nothing of torch, processes or HTTP."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from danqing.errors import ServiceError
from danqing.pictures.raster import Raster
from danqing.pictures.request import ImageRequest


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

    def generate(self, request: ImageRequest) -> AsyncGenerator[Progress | ImageResult, None]:
        """Draw the request's images; events of different images may interleave.

        Raises EngineCrashed when the drawing process died twice, Overloaded when the engine is not ready,
        InvalidRequest when the prompt does not fit the model's limits.
        """

    async def recaption(self, prompt: str, *, seed: int) -> str:
        """Rewrite a prompt in detail, the same way for the same seed. Cancelling ends the work within a few tokens.

        Raises NoCaption, with the reason, when the model cannot; EngineCrashed when its process died meanwhile;
        Overloaded when the engine is not ready.
        """
