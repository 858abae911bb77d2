"""Memory of the engine's process over many requests: `python -m benchmarks.memory`.

Draws requests of different sizes and lengths with `mini` in an engine's process of its own, one step each, and prints
the resident memory of that process after every tenth of them. The curve must flatten.
"""

import argparse
import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from danqing.engine.interface import EngineState, ImageResult
from danqing.engine.local import LocalEngine
from danqing.engines import local_engine
from danqing.pictures.raster import Raster
from danqing.pictures.request import ImageRequest
from danqing.settings import Settings

SIZES_PX = ((256, 256), (256, 512), (384, 256), (512, 512))
WORDS = ("red", "fox", "snow", "tree", "big", "house", "sea")
MAX_WORDS = 300
NUM_REPORTS = 10


def requests(num_requests: int) -> list[ImageRequest]:
    """The same ones at every call."""
    random_ = random.Random(1)
    made = []
    for seed in range(1, num_requests + 1):
        width_px, height_px = random_.choice(SIZES_PX)
        words = random_.choices(WORDS, k=random_.randint(1, MAX_WORDS))
        request = ImageRequest(
            prompt=" ".join(words), seed=seed, width_px=width_px, height_px=height_px, num_inference_steps=1
        )
        made.append(request)
    return made


def resident_mib(pid: int) -> float:
    """Resident memory of a process, on Linux."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


@asynccontextmanager
async def ready_engine() -> AsyncIterator[LocalEngine]:
    """An engine of `mini` in a process of its own, once it can draw."""
    engine = local_engine(Settings())
    await engine.start()
    try:
        while engine.status().state is not EngineState.READY:
            if engine.status().state is EngineState.FAILED:
                raise RuntimeError(engine.status().detail)
            await asyncio.sleep(0.1)
        yield engine
    finally:
        await engine.stop()


async def draw(engine: LocalEngine, request: ImageRequest) -> Raster:
    """Draw the request's only image."""
    async with aclosing(engine.generate(request)) as events:
        async for event in events:
            if isinstance(event, ImageResult):
                return event.raster
    raise RuntimeError("the engine drew nothing")


async def curve(num_requests: int) -> AsyncIterator[tuple[int, float]]:
    """Yield the number of requests drawn and the memory, MiB."""
    async with ready_engine() as engine:
        yield 0, _memory(engine)
        for number, request in enumerate(requests(num_requests), start=1):
            await draw(engine, request)
            if number % max(1, num_requests // NUM_REPORTS) == 0:
                yield number, _memory(engine)


def _memory(engine: LocalEngine) -> float:
    assert engine.child_pid is not None
    return resident_mib(engine.child_pid)


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    async for number, memory_mib in curve(parser.parse_args().requests):
        print(f"{number:5} requests {memory_mib:6.0f} MiB", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
