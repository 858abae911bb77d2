"""Where the time of one request goes: `python benchmarks/latency.py [DIR]`.

The wire's default request at 1280 x 768 on a checkpoint folder, the bundled `mini` without one: 28 steps, guidance 7.5.
Prints the median of each part over several requests, after one that warms caches up.
"""

import argparse
import itertools
import resource
import statistics
import time
from collections import defaultdict
from pathlib import Path

import torch

from danqing.engines import BUNDLED_CHECKPOINT as BUNDLED
from danqing.hunyuan_image3.pipeline import Pipeline, TextToImage
from danqing.pictures.encoding import Provenance, encode
from danqing.pictures.raster import Raster

PROMPT = "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses."
WIDTH_PX, HEIGHT_PX = 1280, 768


def draw(pipeline: Pipeline, *, num_steps: int) -> dict[str, float]:
    """Seconds of each part of one request."""
    marks = [("start", time.perf_counter())]

    def mark(name: str) -> None:
        marks.append((name, time.perf_counter()))

    request = TextToImage(
        prompt=PROMPT,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        num_inference_steps=num_steps,
        guidance_scale=7.5,
    )
    prefix = pipeline.prefill(request)
    mark("read the prompt, both branches")
    *_, last = pipeline.denoise(prefix, seed=1)
    mark(f"{num_steps} denoising steps")
    pixels = pipeline.decode(last.latent, prefix)
    mark("decode and fit to size")
    raster = Raster(width_px=WIDTH_PX, height_px=HEIGHT_PX, rgb=pixels.tobytes())
    encode(raster, output_format="png", output_compression=None, provenance=Provenance(model="mini", seed=1))
    mark("encode as PNG")
    parts = {name: at - before for (_, before), (name, at) in itertools.pairwise(marks)}
    return {**parts, "whole request": sum(parts.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=BUNDLED, metavar="DIR")
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--requests", type=int, default=5)
    arguments = parser.parse_args()
    start = time.perf_counter()
    pipeline = Pipeline.load(arguments.folder)
    print(f"{pipeline.description}, {torch.get_num_threads()} threads")
    print(f"{'load the checkpoint':32} {time.perf_counter() - start:7.3f} s")
    draw(pipeline, num_steps=2)
    seconds = defaultdict(list)
    for _ in range(arguments.requests):
        for name, value in draw(pipeline, num_steps=arguments.steps).items():
            seconds[name].append(value)
    for name, values in seconds.items():
        print(f"{name:32} {statistics.median(values):7.3f} s")
    print(f"{'peak memory':32} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:7.0f} MiB")


if __name__ == "__main__":
    main()
