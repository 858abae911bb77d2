"""The default image check measured on pictures of `mini`: what it scores them, and what it costs.

Draws every noun of mini's world and prompts of its judge, and scores each picture and some previews in the process that
serves them. Run: python -m proofs.image_check [--pictures 500]
"""

import argparse
import asyncio
import os
import time
from pathlib import Path
from random import Random

import numpy as np
import torch

from danqing.engines import BUNDLED_CHECKPOINT
from danqing.hunyuan_image3.pipeline import Pipeline, Pixels, TextToImage
from danqing.pictures.raster import Raster
from danqing.safety.classifier_check import ClassifierImageCheck
from danqing.safety.image_check import OPENNSFW
from mini.judge.prompts import evaluation_prompts
from mini.world.phrases import with_article
from mini.world.vocabulary import NOUNS

SIDE_PX = 512
NUM_STEPS = 8
PREVIEWED_STEPS = (1, 2, 4, 6)
NUM_TIMED = 50
TIMED_SIDE_PX = 1024


def prompts(num_pictures: int) -> list[str]:
    """Every noun once, then prompts of the judge."""
    nouns = [with_article(name) for name in NOUNS]
    return [*nouns, *(prompt.text for prompt in evaluation_prompts())][:num_pictures]


def raster_of(pixels: Pixels) -> Raster:
    height_px, width_px, _ = pixels.shape
    return Raster(width_px=width_px, height_px=height_px, rgb=pixels.tobytes())


def draw(pipeline: Pipeline, prompt: str, *, seed: int) -> tuple[list[Raster], Raster]:
    """Draw one picture; returns its previews and itself."""
    request = TextToImage(
        prompt=prompt, width_px=SIDE_PX, height_px=SIDE_PX, num_inference_steps=NUM_STEPS, guidance_scale=7.5
    )
    prefix, previews = pipeline.prefill(request), []
    for step in pipeline.denoise(prefix, seed=seed):
        if step.step in PREVIEWED_STEPS:
            previews.append(raster_of(pipeline.preview(step)))
    return previews, raster_of(pipeline.decode(step.latent, prefix))


async def measure_cost(check: ClassifierImageCheck, pid: int) -> None:
    """Print time and memory of the check, on noise of the default size."""
    pixels = np.random.default_rng(0).integers(0, 256, (TIMED_SIDE_PX, TIMED_SIDE_PX, 3), dtype=np.uint8)
    raster = raster_of(pixels)
    await check.check(raster)
    began, cpu_seconds = time.perf_counter(), _cpu_seconds(pid)
    for _ in range(NUM_TIMED):
        await check.check(raster)
    wall_ms = 1000 * (time.perf_counter() - began) / NUM_TIMED
    cpu_ms = 1000 * (_cpu_seconds(pid) - cpu_seconds) / NUM_TIMED
    print(f"a picture of {TIMED_SIDE_PX}x{TIMED_SIDE_PX}: {wall_ms:.0f} ms, {cpu_ms:.0f} ms of processor time")
    print(f"memory of the process: {_peak_mib(pid):.0f} MiB")


async def measure_scores(check: ClassifierImageCheck, num_pictures: int) -> None:
    """Print the scores of pictures and previews, and the prompts that score highest."""
    pipeline = Pipeline.load(BUNDLED_CHECKPOINT)
    scores: list[tuple[float, str]] = []
    preview_scores: list[tuple[float, str]] = []
    for index, prompt in enumerate(prompts(num_pictures)):
        previews, picture = draw(pipeline, prompt, seed=Random(index).randrange(1, 2**32))
        scores.append(((await check.check(picture)).score or 0.0, prompt))
        for preview in previews:
            preview_scores.append(((await check.check(preview)).score or 0.0, prompt))
    for kind, found in (("pictures", scores), ("previews", preview_scores)):
        values = np.array([score for score, _ in found])
        shares = ", ".join(f"{share} % below {np.percentile(values, share):.4f}" for share in (50, 90, 99))
        print(f"{len(found)} {kind}: highest {values.max():.4f}; {shares}; {(values >= 0.5).sum()} flagged")
        for score, prompt in sorted(found, reverse=True)[:5]:
            print(f"  {score:.4f} {prompt}")


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _peak_mib(pid: int) -> float:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=500)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    check = ClassifierImageCheck(OPENNSFW, threshold=0.5)
    began = time.perf_counter()
    await check.start()
    print(f"start of the process: {time.perf_counter() - began:.2f} s")
    pid = check.pid
    assert pid is not None
    try:
        await measure_cost(check, pid)
        await measure_scores(check, arguments.pictures)
    finally:
        await check.stop()


if __name__ == "__main__":
    asyncio.run(main())
