"""Stand-ins for the parts around jobs: an engine that follows a script, a store in memory, checks that obey."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from danqing.engine.interface import EngineState, EngineStatus, ExpansionFailed, ImageResult, Progress
from danqing.errors import ServiceError
from danqing.jobs.job import Job, JobImage
from danqing.pictures.raster import Raster
from danqing.pictures.request import Expansion, ImageRequest
from danqing.prompts.expander import ExpandedPrompt
from danqing.safety.verdict import ImageVerdict, PromptVerdict

MODEL = "fake (1 parameter)"

REQUEST = ImageRequest(
    prompt="a red square",
    seed=7,
    width_px=8,
    height_px=6,
    num_inference_steps=3,
)

IMAGE = JobImage(
    image_index=0,
    seed=7,
    path="p",
    width_px=8,
    height_px=6,
    content_type="image/png",
    flagged=False,
    revised_prompt=None,
)


def raster_of(seed: int, *, width_px: int = 8, height_px: int = 6) -> Raster:
    """A small picture that shows nothing but its seed."""
    return Raster(width_px=width_px, height_px=height_px, rgb=bytes([seed % 251, 1, 2]) * (width_px * height_px))


@dataclass
class FakeEngine:
    """Draws at once, or step by step as its gate allows.

    `gate`: every step waits for it, after `free_images` that do not.
    `fail_after_images`: raises `failure` after so many images.
    """

    gate: asyncio.Event | None = None
    free_images: int = 0
    failure: BaseException | None = None
    fail_after_images: int = 0
    state: EngineState = EngineState.READY
    requests: list[ImageRequest] = field(default_factory=list)
    expansions: list[Expansion | None] = field(default_factory=list)
    num_open: int = 0
    max_num_open: int = 0
    num_steps_done: int = 0
    num_replicas: int = 1

    async def start(self) -> None:
        self.state = EngineState.READY

    async def stop(self) -> None:
        self.state = EngineState.STOPPED

    def status(self) -> EngineStatus:
        return EngineStatus(state=self.state, model=MODEL, num_replicas=self.num_replicas)

    async def generate(
        self, request: ImageRequest, *, expansion: Expansion | None = None
    ) -> AsyncGenerator[Progress | ImageResult, None]:
        self.requests.append(request)
        self.expansions.append(expansion)
        self.num_open += 1
        self.max_num_open = max(self.max_num_open, self.num_open)
        try:
            for image_index in range(request.num_images):
                if self.failure is not None and image_index >= self.fail_after_images:
                    raise self.failure
                seed = request.image_seed(image_index)
                for step in range(1, request.num_inference_steps + 1):
                    gated = self.gate is not None and image_index >= self.free_images
                    await (self.gate.wait() if gated else asyncio.sleep(0))
                    self.num_steps_done += 1
                    due = request.preview_every_steps and step % request.preview_every_steps == 0
                    yield Progress(
                        image_index=image_index,
                        step=step,
                        num_steps=request.num_inference_steps,
                        preview=raster_of(seed) if due else None,
                    )
                raster = raster_of(seed, width_px=request.width_px or 8, height_px=request.height_px or 8)
                yield ImageResult(image_index=image_index, seed=seed, raster=raster)
        finally:
            self.num_open -= 1

    async def expand(self, request: ImageRequest) -> Expansion:
        raise ExpansionFailed("The fake draws only.")


@dataclass
class FakeStore:
    """Keeps files in memory; `failure` is raised instead, for the files numbered in `fail_on` or for all."""

    files: dict[str, bytes] = field(default_factory=dict)
    failure: ServiceError | None = None
    fail_on: frozenset[int] | None = None
    num_puts: int = 0

    async def put(self, data: bytes, *, content_type: str, extension: str) -> str:
        put_index = self.num_puts
        self.num_puts += 1
        if self.failure is not None and (self.fail_on is None or put_index in self.fail_on):
            raise self.failure
        path = f"files/b/00000000/{put_index:021d}.{extension}"
        self.files[path] = data
        return path

    async def delete(self, path: str) -> None:
        self.files.pop(path, None)


@dataclass
class FakePromptCheck:
    """Refuses prompts that contain one of the words."""

    refused_words: tuple[str, ...] = ()
    prompts: list[str] = field(default_factory=list)
    negative_prompts: list[str] = field(default_factory=list)

    async def check(self, prompt: str, *, negative_prompt: str = "", essential_only: bool = False) -> PromptVerdict:
        self.prompts.append(prompt)
        self.negative_prompts.append(negative_prompt)
        allowed = essential_only or not any(word in prompt for word in self.refused_words)
        return PromptVerdict(allowed=allowed, checker="fake words", reason=None if allowed else "Refused by the fake.")


@dataclass
class FakeImageCheck:
    """Flags what `flags` says, or fails with `failure`; the score is .9 or .1."""

    flags: Callable[[Raster], bool] = lambda raster: False
    failure: ServiceError | None = None
    rasters: list[Raster] = field(default_factory=list)

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def check(self, raster: Raster) -> ImageVerdict:
        self.rasters.append(raster)
        if self.failure is not None:
            raise self.failure
        flagged = self.flags(raster)
        return ImageVerdict(flagged=flagged, checker="fake eyes", score=0.9 if flagged else 0.1)


@dataclass
class FakeExpander:
    """Returns `expansion`, or adds `suffix` to every prompt, or fails with `warning`."""

    suffix: str = ", in detail"
    expansion: Expansion | None = None
    warning: str | None = None

    async def expand(self, request: ImageRequest) -> ExpandedPrompt:
        if self.warning is not None:
            return ExpandedPrompt(prompt=request.prompt, warning=self.warning)
        if self.expansion is not None:
            return ExpandedPrompt(prompt=request.prompt, expansion=self.expansion)
        return ExpandedPrompt(prompt=f"{request.prompt}{self.suffix} {request.seed}")


@dataclass
class FakeObserver:
    """Remembers every change that it was told."""

    changes: list[Job] = field(default_factory=list)

    def job_changed(self, job: Job) -> None:
        self.changes.append(job)

    def statuses(self, job_id: str) -> list[str]:
        return [str(job.status) for job in self.changes if job.id == job_id]
