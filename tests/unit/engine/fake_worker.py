"""An engine process without torch: the real `main`, with a painter that does what the prompt says.

Run as `python fake_worker.py --model=DIR --device=cpu`. DIR must exist; a file `on_load` in it says how loading ends.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from danqing.engine.interleaver import PromptRejected
from danqing.engine.messages import LoadStage
from danqing.engine.worker import main
from danqing.engine.worker_options import WorkerOptions
from danqing.hunyuan_image3.errors import CheckpointError
from danqing.pictures.raster import Raster
from danqing.pictures.request import Expansion, ImageRequest


@dataclass(frozen=True, kw_only=True)
class FakeStep:
    step: int
    num_steps: int
    latent: bytes


class AcceleratorLost(Exception):
    pass


class FakePainter:
    """Prompts: `slow`, `slow to read`, `crash`, `crash once`, `hang`, `too long`, `bug`, `lost`, `print`; others draw.

    A caption repeats the prompt and the seed; its tokens are its letters. `endless` never ends one. An expansion is
    drawn in the shade of its length.
    """

    description = "fake (0 parameters)"
    fatal_errors: tuple[type[Exception], ...] = (AcceleratorLost,)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prefill(self, request: ImageRequest, *, expansion: Expansion | None) -> Generator[None, None, ImageRequest]:
        if request.prompt == "too long":
            raise PromptRejected("prompt: 9 tokens, at most 8 are allowed")
        if request.negative_prompt == "too long":
            raise PromptRejected("negative_prompt: 9 tokens, at most 8 are allowed", field="negative_prompt")
        if request.prompt == "slow to read":
            for _ in range(1000):
                time.sleep(0.02)
                yield
        yield
        if expansion is None or expansion.caption is None:
            return request
        return replace(request, prompt=expansion.caption, seed=len(expansion.caption))

    def denoise(self, request: ImageRequest, *, image_index: int) -> Iterator[FakeStep]:
        for step in range(1, request.num_inference_steps + 1):
            self._misbehave(request.prompt, step=step, image_index=image_index)
            yield FakeStep(
                step=step, num_steps=request.num_inference_steps, latent=bytes([(request.seed + image_index) % 256])
            )

    def decode(self, latent: bytes, request: ImageRequest) -> Raster:
        width_px, height_px = request.width_px or 8, request.height_px or 4
        return Raster(width_px=width_px, height_px=height_px, rgb=latent * (3 * width_px * height_px))

    def preview(self, step: FakeStep) -> Raster:
        return Raster(width_px=1, height_px=1, rgb=step.latent * 3)

    def expand(self, request: ImageRequest) -> Generator[int | None, None, Expansion]:
        prompt, seed = request.prompt, request.seed
        if prompt == "too long":
            raise PromptRejected("prompt: 9 tokens, at most 8 are allowed")
        text = f"{prompt}, in detail {seed}"
        for position, letter in enumerate(text):
            self._misbehave(prompt, step=position, image_index=0)
            yield ord(letter)
        if text.startswith("endless"):
            raise PromptRejected(f"The model did not finish its caption of {len(text)} tokens.")
        return Expansion(caption=text, thought="letter by letter")

    def _misbehave(self, prompt: str, *, step: int, image_index: int) -> None:
        if prompt.startswith("slow"):
            time.sleep(0.02)
        elif prompt == "crash" and step == 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        elif prompt == "crash once" and step == 2 and image_index == 1:
            crashed = self._folder / "crashed"
            if not crashed.exists():
                crashed.touch()
                time.sleep(0.2)
                os.kill(os.getpid(), signal.SIGKILL)
        elif prompt == "hang":
            time.sleep(3600)
        elif prompt == "bug":
            raise RuntimeError("no such kernel")
        elif prompt == "lost":
            raise AcceleratorLost("device-side assert")
        elif prompt == "print":
            print("a library talks to stdout")
            sys.stdout.flush()


def load(options: WorkerOptions, *, on_progress: Callable[[LoadStage, int, int], None]) -> Any:
    folder = options.model
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder")
    with (folder / "num_loads").open("a") as loads:
        loads.write("x")
    on_progress(LoadStage.LOADING, 1, 2)
    ending = folder / "on_load"
    match ending.read_text() if ending.exists() else "":
        case "crash":
            os._exit(3)
        case "refuse":
            raise CheckpointError(f"{folder}/config.json is not found; see /opt/a/b.txt, https://host/a/b and a/b")
        case "fail":
            raise RuntimeError("out of accelerator memory")
        case "hang":
            time.sleep(3600)
    return FakePainter(folder)


if __name__ == "__main__":
    main(load)
