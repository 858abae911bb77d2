"""The engine protocol: the service's view of anything that draws. Values go in, events come out."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import msgspec

from danqing.errors import ServiceError
from danqing.pictures.raster import Raster
from danqing.pictures.request import Expansion, ImageRequest


# Structs rather than dataclasses: they carry the tag that tells the two apart on a pipe.
class Progress(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`step` of `num_steps` of image `image_index` is done (`step` counts from 1).

    `estimated`: the engine learns nothing of steps and guessed this one from the time that passed.
    """

    image_index: int
    step: int
    num_steps: int
    preview: Raster | None = None
    estimated: bool = False


class ImageResult(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One finished image. `warnings` name what the engine did not honour."""

    image_index: int
    seed: int
    raster: Raster
    warnings: tuple[str, ...] = ()


class EngineState(StrEnum):
    """Where the engine stands; it can draw only when READY. FAILED and STOPPED are final."""

    STARTING = "starting"
    READY = "ready"
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


@dataclass(frozen=True, kw_only=True)
class EngineStatus:
    """`model` describes the loaded checkpoint; `detail` explains why the engine is not ready.

    `public_detail` is the same for callers, who learn no paths. `route` names what stands between this server and a
    model that does not run beside it. `num_replicas` of the model can draw; each takes as many jobs as one engine.
    """

    state: EngineState
    model: str
    route: str = ""
    detail: str = ""
    public_detail: str = ""
    num_replicas: int = 1

    @property
    def description(self) -> str:
        """The engine and the checkpoint behind it, for `meta.engine`."""
        return f"{self.route}: {self.model}" if self.route else self.model


class EngineCrashed(ServiceError):
    """The engine process ended unexpectedly and the job could not be completed."""

    code = "engine_crashed"


class EngineFailed(ServiceError):
    """The engine cannot start."""

    code = "engine_failed"


class ExpansionFailed(ServiceError):
    """The model could not expand this prompt."""


def require_usable(status: EngineStatus) -> None:
    """Raise EngineFailed, with the reason, for an engine that will never draw."""
    if status.state is EngineState.FAILED:
        raise EngineFailed(f"The engine cannot start: {status.public_detail}")


class Engine(Protocol):
    """Draws images and expands prompts."""

    async def start(self) -> None:
        """Begin loading; returns at once. `status` tells when the engine is ready."""

    async def stop(self) -> None:
        """End the engine and its running tasks."""

    def status(self) -> EngineStatus:
        """Return where the engine stands now."""

    def generate(
        self, request: ImageRequest, *, expansion: Expansion | None = None
    ) -> AsyncGenerator[Progress | ImageResult, None]:
        """Draw the request's images; events of different images may interleave.

        `expansion` is the result of `expand` for the same request. Closing the generator cancels the task within one
        denoising step.
        Raises EngineCrashed when the engine process died twice, Overloaded when the engine is not ready, EngineFailed
        when it never will be, InvalidRequest when the prompt does not fit the model's limits.
        """

    async def expand(self, request: ImageRequest) -> Expansion:
        """Expand the request's prompt, the same way for the same seed. Cancelling ends the work within a few tokens.

        Raises ExpansionFailed, with the reason, when the model cannot; EngineCrashed when its process died meanwhile;
        Overloaded when the engine is not ready, EngineFailed when it never will be.
        """
