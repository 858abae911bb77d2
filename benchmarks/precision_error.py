"""The error of each precision: `PYTHONPATH=. python benchmarks/precision_error.py`.

Relative error ||ours - exact|| / ||exact|| of predicted velocities, by precision: over all steps of the recorded
requests, against the reference's float32, and for `mini` over four prompts and four noise levels, against our own
float32. For `mini` also the worst branch. Runs on the CPU in about a minute; prints a table in Markdown.

`--pictures` compares finished pictures of twelve prompts instead, with those of float32 from the same seeds; the row
`another seed` is float32 against itself from others.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.parity import Case
from danqing.hunyuan_image3.pipeline import Pipeline, Pixels, TextToImage
from danqing.hunyuan_image3.precision import Precision
from danqing.hunyuan_image3.sampler import Conditions, start_noise

MINI = Path("src/danqing/checkpoints/mini")
CASES = Path("tests/data/parity")
PROMPTS = (
    "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses.",
    "a red fox in the snow",
    "three apples on a table in a living room",
    "a lighthouse by the sea at night",
)
MORE_PROMPTS = (
    "a snowman wearing a red scarf",
    "two cats on a sofa",
    "a sailing boat on a lake in the evening",
    "a blue car in a city street",
    "an owl in the forest at night",
    "a bicycle beside a tree",
    "four balloons in a park",
    "a dog with a ball on a beach",
)
PICTURE_SIDE_PX = 768
SIGMAS = (0.95, 0.7, 0.4, 0.15)


def relative_error(ours: Tensor, exact: Tensor) -> float:
    """||ours - exact|| / ||exact||."""
    return float((ours - exact).norm() / exact.norm())


def recorded_error(case: Case) -> float:
    """Of all branches and steps of one recorded request."""
    names = [name for name in ("pred", "pred_cond", "pred_uncond") if name in case.expected]
    ours = torch.cat([getattr(case, name)() for name in names])
    return relative_error(ours, torch.cat([case.expected[name] for name in names]))


def velocities(pipeline: Pipeline) -> Iterator[Tensor]:
    """The velocity of each branch at each noise level of each prompt, [C, H, W]."""
    factor = pipeline.config.vae.spatial_factor
    for seed, prompt in enumerate(PROMPTS):
        request = TextToImage(prompt=prompt, num_inference_steps=1, guidance_scale=7.5, width_px=512, height_px=512)
        prefix = pipeline.prefill(request)
        height, width = prefix.bucket.height_px // factor, prefix.bucket.width_px // factor
        noise = start_noise(seed, channels=pipeline.config.vae.latent_channels, height=height, width=width)
        for sigma in SIGMAS:
            conditions = Conditions(t=torch.tensor(1000 * sigma), next_t=torch.tensor(0.0), guidance_scale=7.5)
            yield from pipeline.model.velocity(noise, conditions, prefix.branches)


def pictures(pipeline: Pipeline, *, first_seed: int = 0) -> list[Pixels]:
    """One picture of each prompt, as the checkpoint's makers draw it."""
    drawn = []
    for seed, prompt in enumerate([*PROMPTS, *MORE_PROMPTS], start=first_seed):
        request = TextToImage(
            prompt=prompt,
            num_inference_steps=pipeline.generation.num_steps,
            guidance_scale=pipeline.generation.guidance_scale,
            width_px=PICTURE_SIDE_PX,
            height_px=PICTURE_SIDE_PX,
        )
        prefix = pipeline.prefill(request)
        *_, last = pipeline.denoise(prefix, seed=seed)
        drawn.append(pipeline.decode(last.latent, prefix))
    return drawn


def compare_pictures(checkpoint: Path) -> None:
    """Print the difference of pictures in each precision, in levels of 255 and in decibels."""
    print("| | mean difference, of 255 | worst picture | PSNR in dB, mean | worst picture |")
    print("|---|---|---|---|---|")
    exact = Pipeline.load(checkpoint, precision=Precision.FLOAT32)
    references = pictures(exact)
    print_difference("another seed", pictures(exact, first_seed=100), references)
    # bfloat16 last: processors that emulate it take many times as long.
    for precision in (Precision.INT8, Precision.INT4, Precision.BFLOAT16):
        print_difference(precision, pictures(Pipeline.load(checkpoint, precision=precision)), references)


def print_difference(name: str, ours: Sequence[Pixels], references: Sequence[Pixels]) -> None:
    errors = [a.astype(np.float64) - b for a, b in zip(ours, references, strict=True)]
    means = [float(np.abs(error).mean()) for error in errors]
    # Of equal pictures it is infinite.
    decibels = [float(10 * np.log10(255**2 / max(np.square(error).mean(), 1e-9))) for error in errors]
    cells = (statistics.mean(means), max(means), statistics.mean(decibels), min(decibels))
    print(f"| {name} | {' | '.join(f'{cell:.3g}' for cell in cells)} |", flush=True)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=MINI, help="measured against its own float32")
    parser.add_argument("--pictures", action="store_true", help="compare pictures instead of velocities")
    options = parser.parse_args()
    checkpoint: Path = options.checkpoint
    if options.pictures:
        compare_pictures(checkpoint)
        return
    cases = sorted(path.parent for path in CASES.glob("*/case.json"))
    print(f"| | {' | '.join(case.name for case in cases)} | {checkpoint.name}, mean | worst |")
    print("|---" * (len(cases) + 3) + "|")
    exact: list[Tensor] = []
    for precision in Precision:
        pipeline = Pipeline.load(checkpoint, precision=precision)
        ours = list(velocities(pipeline))
        exact = exact or ours
        errors = [relative_error(*pair) for pair in zip(ours, exact, strict=True)]
        recorded = [recorded_error(Case(case, precision=precision)) for case in cases]
        cells = [f"{error:.3g}" for error in [*recorded, sum(errors) / len(errors), max(errors)]]
        activations = str(pipeline.model.dtype).removeprefix("torch.")
        print(f"| {precision}, activations {activations} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
