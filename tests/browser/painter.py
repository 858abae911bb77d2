"""An engine that paints ink mountains at a chosen pace, for looking at the page while a picture forms."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from danqing.engine.interface import EngineState, EngineStatus, ExpansionFailed, ImageResult, Progress
from danqing.errors import ServiceError
from danqing.pictures.raster import Raster
from danqing.pictures.request import Expansion, ImageRequest

NUM_RANGES = 5
PREVIEW_SHRINKS = 4
DEFAULT_SIDE_PX = 1024


@dataclass
class Painter:
    """Paints a step every `pace_seconds`. `hold_at`: waits before that step for `gate`; `error`: raised at step two.

    `caption`: the expansion of every prompt.
    """

    pace_seconds: float = 0.005
    hold_at: int | None = None
    error: ServiceError | None = None
    state: EngineState = EngineState.READY
    caption: str | None = None
    model: str = "painter (paints mountains for tests)"
    requests: list[ImageRequest] = field(default_factory=list)
    expansions: list[Expansion | None] = field(default_factory=list)
    num_cancelled: int = 0

    def __post_init__(self) -> None:
        self.gate = asyncio.Event()
        self.held = asyncio.Event()

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        self.state = EngineState.STOPPED

    def status(self) -> EngineStatus:
        return EngineStatus(state=self.state, model=self.model)

    async def generate(
        self, request: ImageRequest, *, expansion: Expansion | None = None
    ) -> AsyncGenerator[Progress | ImageResult, None]:
        self.requests.append(request)
        self.expansions.append(expansion)
        width_px, height_px = request.width_px or DEFAULT_SIDE_PX, request.height_px or DEFAULT_SIDE_PX
        seeds = [request.image_seed(index) for index in range(request.num_images)]
        pictures = [mountains(seed, width_px=width_px, height_px=height_px) for seed in seeds]
        finished = False
        try:
            for step in range(1, request.num_inference_steps + 1):
                if self.error is not None and step == 2:
                    raise self.error
                if step == self.hold_at:
                    self.held.set()
                    await self.gate.wait()
                await asyncio.sleep(self.pace_seconds)
                for index, picture in enumerate(pictures):
                    yield progress_of(request, picture, image_index=index, step=step)
            for index, picture in enumerate(pictures):
                yield ImageResult(image_index=index, seed=seeds[index], raster=raster_of(picture))
            finished = True
        finally:
            self.num_cancelled += not finished

    async def expand(self, request: ImageRequest) -> Expansion:
        if self.caption is None:
            raise ExpansionFailed("The painter cannot expand prompts.")
        return Expansion(caption=self.caption)


def progress_of(request: ImageRequest, picture: np.ndarray, *, image_index: int, step: int) -> Progress:
    """The step, with a preview between noise and picture where one is due."""
    due = request.preview_every_steps and step % request.preview_every_steps == 0
    preview = None
    if due:
        # Coarse first: what is large is decided early.
        left = 1 - step / request.num_inference_steps
        block = PREVIEW_SHRINKS * (1 + round(10 * left))
        coarse = picture[block // 2 :: block, block // 2 :: block]
        noise = np.random.default_rng(request.image_seed(image_index)).normal(0, 34 * left, coarse.shape)
        preview = raster_of(np.clip(coarse + noise, 0, 255).astype(np.uint8))
    return Progress(image_index=image_index, step=step, num_steps=request.num_inference_steps, preview=preview)


def mountains(seed: int, *, width_px: int, height_px: int) -> np.ndarray:
    """Ranges of hills, the nearer the darker, under a red sun; another seed gives others."""
    small = Image.fromarray(_small_mountains(seed, width_px=width_px // 2, height_px=height_px // 2))
    return np.asarray(small.resize((width_px, height_px), Image.Resampling.BICUBIC))


def _small_mountains(seed: int, *, width_px: int, height_px: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    x = np.linspace(0, 1, width_px)[None, :]
    y = np.linspace(0, 1, height_px)[:, None]
    warm, cool = np.array([246.0, 233.0, 212.0]), np.array([214.0, 224.0, 220.0])
    picture = warm + (cool - warm) * np.broadcast_to(y, (height_px, width_px))[..., None]
    sun_x, sun_y = random.uniform(0.55, 0.85), random.uniform(0.18, 0.3)
    ratio = width_px / height_px
    inside = np.hypot((x - sun_x) * ratio, y - sun_y) < 0.085
    picture[inside] = (203, 74, 52)
    far, near = np.array([168.0, 196.0, 200.0]), np.array([28.0, 74.0, 70.0])
    for index in range(NUM_RANGES):
        nearness = index / (NUM_RANGES - 1)
        ridge = 0.42 + 0.13 * index
        for octave in range(1, 6):
            height = 0.11 / octave**1.25
            ridge = ridge + height * np.sin(2 * np.pi * (octave * 0.55 * x * max(ratio, 0.7) + random.uniform()))
        colour = far + (near - far) * nearness
        mist = np.clip((y - ridge) / (0.34 - 0.12 * nearness), 0, 1)[..., None]
        hill = colour + (np.array([236.0, 235.0, 224.0]) - colour) * mist * (0.85 - 0.45 * nearness)
        picture = np.where((y > ridge)[..., None], hill, picture)
    return picture.astype(np.uint8)


def raster_of(picture: np.ndarray) -> Raster:
    height_px, width_px, _ = picture.shape
    return Raster(width_px=width_px, height_px=height_px, rgb=np.ascontiguousarray(picture).tobytes())
