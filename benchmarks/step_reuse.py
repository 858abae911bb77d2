"""Step reuse, work against loss: `PYTHONPATH=. python benchmarks/step_reuse.py`, about five minutes on a quiet core.

Work is the number of branches that the network computed, as a share of those of the full run. Loss is measured
against the full run of the same seeds: `latent`, relative error of the finished latent; `pixels`, mean difference in
levels of 255; `changed`, the share of pictures whose pixels moved by more than MAX_SAME, nearly always because they
show something else. The first two are medians. Runs with fewer steps are the measure: a form that is no better has no
use. Prints tables in Markdown: first how far extrapolated velocities are off, then `mini` with every form.

`--judge FOLDER` draws only with the forms that ship, and adds the share of the pictures that the judge of `mini` calls
right; FOLDER is that of its detector. The prompts are those of the judge in both cases.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from danqing.hunyuan_image3.pipeline import Pipeline, Prefix, TextToImage
from danqing.hunyuan_image3.sampler import Conditions, denoise, schedule, start_noise
from danqing.hunyuan_image3.step_reuse import Predict, ReusedPredictions, StepReuse, reused_steps
from mini.judge.detector_training import load_detector
from mini.judge.drawing import HEIGHT_PX, SEED, WIDTH_PX, Pixels, for_detector
from mini.judge.prompts import EvaluationPrompt, evaluation_prompts
from mini.judge.verdicts import judge

MINI = Path("src/danqing/checkpoints/mini")
CASES = Path("tests/data/parity")
FEWER = (5 / 7, 4 / 7, 1 / 2, 5 / 14)
MAX_SAME = 5.0
ORDERS = (0, 1, 2)

Points = Sequence[tuple[float, Tensor]]
Velocity = Callable[[Tensor, Conditions, int], Tensor]
"""Velocities of so many branches."""


@dataclass(frozen=True)
class Form:
    """A way to draw: a number of steps, and what stands between the sampler and the network."""

    name: str
    ships: bool
    num_steps: int
    predict: Callable[[Velocity], Predict]


class Lagged:
    """A `predict` that does without the network in some steps, and without its second branch in others.

    The conditional velocity and its distance to the unconditional one are extrapolated by polynomials of an order each.
    """

    def __init__(
        self, velocity: Velocity, *, reused: Collection[int], one_branch: Collection[int], orders: tuple[int, int]
    ) -> None:
        self._velocity, self._reused, self._one_branch, self._orders = velocity, reused, one_branch, orders
        self._conditional: list[tuple[float, Tensor]] = []
        self._distance: list[tuple[float, Tensor]] = []
        self._step = -1

    def __call__(self, latent: Tensor, conditions: Conditions) -> Tensor:
        self._step += 1
        t = float(conditions.t)
        if self._step not in self._reused:
            computed = self._velocity(latent, conditions, 1 if self._step in self._one_branch else 2)
            self._conditional.append((t, computed[:1]))
            if len(computed) == 2:
                self._distance.append((t, computed[:1] - computed[1:]))
        conditional = extrapolated(self._conditional, t, order=self._orders[0])
        return torch.cat([conditional, conditional - extrapolated(self._distance, t, order=self._orders[1])])


def extrapolated(points: Points, t: float, *, order: int) -> Tensor:
    """The polynomial through the last `order` + 1 points, or as many as there are; a point at `t` is met exactly."""
    last = points[-order - 1 :]
    if last[-1][0] == t:
        return last[-1][1]
    total = torch.zeros_like(last[0][1])
    for i, (t_i, velocity) in enumerate(last):
        weight = 1.0
        for j, (t_j, _) in enumerate(last):
            if j != i:
                weight *= (t - t_j) / (t_i - t_j)
        total = total + weight * velocity
    return total


def forms(num_steps: int) -> Iterator[Form]:
    """Fewer steps, the forms that ship, and those that lost against them."""

    def as_it_is(velocity: Velocity) -> Predict:
        return lambda latent, at: velocity(latent, at, 2)

    def shipping(reuse: StepReuse) -> Callable[[Velocity], Predict]:
        steps = reused_steps(reuse, num_steps=num_steps)
        return lambda velocity: ReusedPredictions(as_it_is(velocity), reused=steps)

    def lagged(reused: range, one_branch: Collection[int], *orders: int) -> Callable[[Velocity], Predict]:
        conditional, distance = orders
        return lambda velocity: Lagged(velocity, reused=reused, one_branch=one_branch, orders=(conditional, distance))

    for fewer in (num_steps, *(round(share * num_steps) for share in FEWER)):
        yield Form(f"{fewer} steps", True, fewer, as_it_is)
    for reuse in (StepReuse.THIRD, StepReuse.HALF):
        yield Form(f"reuse: {reuse}", True, num_steps, shipping(reuse))
    half, none = reused_steps(StepReuse.HALF, num_steps=num_steps), range(0)
    for name, orders in (("order 0", (0, 0)), ("order 1, distance too", (1, 1)), ("order 2", (2, 2))):
        yield Form(f"half, {name}", False, num_steps, lagged(half, none, *orders))
    two_of_three = frozenset(range(2, num_steps - 1)) - frozenset(range(4, num_steps, 3))
    yield Form("two of three", False, num_steps, lagged(two_of_three, none, 1, 0))
    yield Form("second branch every second step", False, num_steps, lagged(none, half, 0, 0))
    yield Form("second branch every third step", False, num_steps, lagged(none, two_of_three, 0, 0))


class Studio:
    """Draws prompts of the judge with `mini` in any form, and counts the branches computed."""

    def __init__(self, checkpoint: Path) -> None:
        self.pipeline = Pipeline.load(checkpoint)
        self.num_computed = 0

    @torch.inference_mode()
    def draw(self, prompt: EvaluationPrompt, form: Form) -> tuple[Tensor, Pixels]:
        """The finished latent and its picture."""
        pipeline, generation = self.pipeline, self.pipeline.generation
        prefix = pipeline.prefill(
            TextToImage(
                prompt=prompt.text,
                num_inference_steps=form.num_steps,
                guidance_scale=generation.guidance_scale,
                width_px=WIDTH_PX,
                height_px=HEIGHT_PX,
            )
        )
        predict = form.predict(lambda latent, at, num: self._velocity(latent, at, prefix, num))
        factor = pipeline.config.vae.spatial_factor
        noise = start_noise(
            SEED, channels=pipeline.config.vae.latent_channels, height=HEIGHT_PX // factor, width=WIDTH_PX // factor
        )
        *_, last = denoise(
            lambda latent, at: predict(latent, at)[: self._num_branches(at)],
            noise,
            sigmas=schedule(form.num_steps, shift=generation.flow_shift),
            guidance_scale=generation.guidance_scale,
            max_push=generation.guidance_max_push,
        )
        return last.latent, pipeline.decode(last.latent, prefix)

    def _velocity(self, latent: Tensor, at: Conditions, prefix: Prefix, num_branches: int) -> Tensor:
        branches = prefix.branches[: min(num_branches, self._num_branches(at))]
        self.num_computed += len(branches)
        return self.pipeline.model.velocity(latent, at, branches)

    def _num_branches(self, at: Conditions) -> int:
        return 2 if at.t > 1000 * self.pipeline.generation.guidance_min_sigma else 1


def compare(studio: Studio, prompts: Sequence[EvaluationPrompt], *, num_steps: int, judge_folder: Path | None) -> None:
    """Draw every prompt in every form, and print a row for each."""
    detector = None if judge_folder is None else load_detector(judge_folder)
    compared = [form for form in forms(num_steps) if form.ships or detector is None]
    full = {prompt.text: studio.draw(prompt, compared[0]) for prompt in prompts}
    computed_in_full = studio.num_computed
    columns = ["form", "work", "latent", "pixels", "changed", *(["right"] if detector else [])]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    for form in compared:
        studio.num_computed = 0
        latents, pixels, right = [], [], []
        for prompt in prompts:
            latent, picture = studio.draw(prompt, form)
            full_latent, full_picture = full[prompt.text]
            latents.append(relative_error(latent, full_latent))
            pixels.append(float(np.abs(picture.astype(np.float64) - full_picture).mean()))
            if detector:
                right.append(judge(prompt, detector.detect(for_detector(picture))).is_right)
        cells = [
            form.name,
            f"{studio.num_computed / computed_in_full:.2f}",
            f"{statistics.median(latents):.3f}",
            f"{statistics.median(pixels):.2f}",
            f"{statistics.mean(difference > MAX_SAME for difference in pixels):.2f}",
            *([f"{statistics.mean(right):.3f}"] if detector else []),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def recorded_velocities(case: Path) -> dict[str, Points]:
    """What the reference computed at each step of a recorded request: of the conditional branch, and the distance."""
    recorded = load_file(case / "expected.safetensors")
    t = recorded["timesteps"].tolist()
    if "pred" in recorded:
        return {"conditional": list(zip(t, recorded["pred"], strict=True))}
    conditional, unconditional = recorded["pred_cond"].float(), recorded["pred_uncond"].float()
    return {
        "conditional": list(zip(t, conditional, strict=True)),
        "distance": list(zip(t, conditional - unconditional, strict=True)),
    }


def drawn_velocities(studio: Studio, prompt: EvaluationPrompt, *, num_steps: int) -> dict[str, Points]:
    """The same of a full run with `mini`, where guidance acts."""
    points: dict[str, list[tuple[float, Tensor]]] = defaultdict(list)

    def recording(velocity: Velocity) -> Predict:
        def predict(latent: Tensor, at: Conditions) -> Tensor:
            computed = velocity(latent, at, 2)
            points["conditional"].append((float(at.t), computed[:1]))
            if len(computed) == 2:
                points["distance"].append((float(at.t), computed[:1] - computed[1:]))
            return computed

        return predict

    studio.draw(prompt, Form("recording", True, num_steps, recording))
    return dict(points)


def print_velocity_errors(name: str, runs: Sequence[dict[str, Points]]) -> None:
    """A row for each kind of velocity: the median error over steps and runs of every order."""
    for kind in runs[0]:
        cells = []
        for order in ORDERS:
            errors = [
                relative_error(extrapolated(points[:i], points[i][0], order=order), points[i][1])
                for points in (run[kind] for run in runs)
                for i in range(max(ORDERS) + 1, len(points))
            ]
            cells.append(f"{statistics.median(errors):.3f}")
        print(f"| {name}, {kind} | {' | '.join(cells)} |", flush=True)


def relative_error(ours: Tensor, exact: Tensor) -> float:
    return float((ours - exact).norm() / exact.norm())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=MINI)
    parser.add_argument("--num-prompts", type=int, default=2, help="of each of the judge's six categories")
    parser.add_argument("--steps", type=int, default=28, help="of the full run")
    parser.add_argument("--judge", type=Path, help="folder of the judge's detector")
    options = parser.parse_args()
    torch.set_num_threads(1)
    studio, prompts = Studio(options.checkpoint), evaluation_prompts(options.num_prompts)
    if options.judge is None:
        print(f"| error of extrapolated velocities | {' | '.join(f'order {order}' for order in ORDERS)} |")
        print(f"|---{'|---' * len(ORDERS)}|")
        for case in sorted(path.parent for path in CASES.glob("*/case.json")):
            print_velocity_errors(case.name, [recorded_velocities(case)])
        print_velocity_errors(
            "mini", [drawn_velocities(studio, prompt, num_steps=options.steps) for prompt in prompts[::3]]
        )
        print()
    studio.num_computed = 0
    compare(studio, prompts, num_steps=options.steps, judge_folder=options.judge)


if __name__ == "__main__":
    main()
