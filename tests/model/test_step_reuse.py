"""Step reuse: which steps are extrapolated, exactly how, and that a picture without it keeps its bytes."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from danqing.hunyuan_image3.pipeline import Pipeline, TextToImage
from danqing.hunyuan_image3.sampler import Conditions, denoise, schedule
from danqing.hunyuan_image3.step_reuse import ReusedPredictions, StepReuse, reused_steps
from danqing.pictures.request import STEP_REUSES

REQUEST = TextToImage(prompt="a red cube", num_inference_steps=12, guidance_scale=4.0, width_px=128, height_px=128)
CONSTANT, SLOPE = torch.randn(2, 1, 2, 3, 4, generator=torch.Generator().manual_seed(0))


def final_latent(predict: Callable[[Tensor, Conditions], Tensor], *, num_steps: int = 9) -> Tensor:
    *_, last = denoise(
        predict, torch.ones(1, 2, 3, 4), sigmas=schedule(num_steps, shift=3.0), guidance_scale=4.0, max_push=2.0
    )
    return last.latent


@pytest.mark.parametrize(
    ("reuse", "num_steps", "expected"),
    [
        (StepReuse.NONE, 28, []),
        (StepReuse.THIRD, 28, [10, 12, 14, 16, 18, 20, 22, 24, 26]),
        (StepReuse.HALF, 28, [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26]),
        (StepReuse.THIRD, 12, [4, 6, 8, 10]),
        (StepReuse.HALF, 12, [2, 4, 6, 8, 10]),
        (StepReuse.THIRD, 4, [2]),
        (StepReuse.HALF, 3, []),
        (StepReuse.HALF, 1, []),
    ],
)
def test_every_second_step_is_reused_after_the_first_few(reuse: StepReuse, num_steps: int, expected: list[int]) -> None:
    assert list(reused_steps(reuse, num_steps=num_steps)) == expected


@pytest.mark.parametrize("reuse", [StepReuse.THIRD, StepReuse.HALF])
def test_the_first_two_steps_and_the_last_are_computed_and_so_is_one_of_any_two(reuse: StepReuse) -> None:
    for num_steps in range(1, 51):
        reused = reused_steps(reuse, num_steps=num_steps)
        assert {0, 1, num_steps - 1}.isdisjoint(reused)
        assert all(step + 1 not in reused for step in reused)


def test_the_wire_has_the_same_names() -> None:
    assert tuple(StepReuse) == STEP_REUSES


@pytest.mark.parametrize("num_branches", [1, 2])
def test_a_velocity_linear_in_time_loses_nothing(num_branches: int) -> None:
    computed = []

    def linear(latent: Tensor, at: Conditions) -> Tensor:
        computed.append(at.t.item())
        conditional = CONSTANT + at.t / 1000 * SLOPE
        return torch.cat([conditional, conditional - CONSTANT])[:num_branches]

    full = final_latent(linear)
    computed.clear()
    reusing = final_latent(ReusedPredictions(linear, reused=reused_steps(StepReuse.HALF, num_steps=9)))
    torch.testing.assert_close(reusing, full, atol=1e-5, rtol=1e-5)
    expected = (1000 * schedule(9, shift=3.0))[[0, 1, 3, 5, 7, 8]].tolist()
    assert computed == pytest.approx(expected)


def test_the_unconditional_branch_moves_along_and_keeps_its_latest_distance() -> None:
    def predict(latent: Tensor, at: Conditions) -> Tensor:
        conditional = at.t / 1000 * SLOPE
        return torch.cat([conditional, conditional - at.t**2 * CONSTANT])

    reusing = ReusedPredictions(predict, reused={2})
    times = [torch.tensor(t) for t in (1.0, 0.9, 0.7)]
    *_, velocity = (reusing(SLOPE, Conditions(t, t - 0.1, 4.0)) for t in times)
    torch.testing.assert_close(velocity[:1], 0.7 / 1000 * SLOPE)
    torch.testing.assert_close(velocity[:1] - velocity[1:], 0.9**2 * CONSTANT)


def test_without_reused_steps_every_step_passes_unchanged() -> None:
    def predict(latent: Tensor, at: Conditions) -> Tensor:
        return 0.5 * latent + at.t / 1000 * SLOPE

    reusing = ReusedPredictions(predict, reused=reused_steps(StepReuse.NONE, num_steps=9))
    assert torch.equal(final_latent(reusing), final_latent(predict))


def drawn(pipeline: Pipeline, request: TextToImage, *, seed: int = 11) -> Tensor:
    *_, last = pipeline.denoise(pipeline.prefill(request), seed=seed)
    return last.latent


@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
def test_the_pipeline_runs_the_network_in_the_other_steps_alone(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, guidance_scale: float
) -> None:
    num_branches = []
    velocity = pipeline.model.velocity

    def counted(latent: Tensor, at: Conditions, branches: list[object]) -> Tensor:
        num_branches.append(len(branches))
        return velocity(latent, at, branches)  # type: ignore[arg-type]

    monkeypatch.setattr(pipeline.model, "velocity", counted)
    request = dataclasses.replace(REQUEST, guidance_scale=guidance_scale, step_reuse=StepReuse.HALF)
    assert len(list(pipeline.denoise(pipeline.prefill(request), seed=11))) == 12
    assert num_branches == [1 if guidance_scale == 1 else 2] * 7


def test_the_same_seed_and_reuse_give_the_same_latent_and_another_reuse_another(pipeline: Pipeline) -> None:
    requests = [dataclasses.replace(REQUEST, step_reuse=reuse) for reuse in StepReuse]
    latents = [drawn(pipeline, request) for request in requests]
    for request, latent in zip(requests, latents, strict=True):
        assert torch.equal(drawn(pipeline, request), latent)
    assert not torch.equal(latents[0], latents[1])
    assert not torch.equal(latents[1], latents[2])


def test_images_drawn_in_turns_share_no_prediction(pipeline: Pipeline) -> None:
    request = dataclasses.replace(REQUEST, step_reuse=StepReuse.HALF)
    prefix = pipeline.prefill(request)
    *_, (first, second) = zip(pipeline.denoise(prefix, seed=11), pipeline.denoise(prefix, seed=12), strict=True)
    assert torch.equal(first.latent, drawn(pipeline, request, seed=11))
    assert torch.equal(second.latent, drawn(pipeline, request, seed=12))


def test_a_reused_step_after_the_last_with_guidance_has_one_branch(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    sigmas = schedule(12, shift=pipeline.generation.flow_shift)
    # Guidance acts up to step 5; the reused step 6 follows it.
    generation = dataclasses.replace(pipeline.generation, guidance_min_sigma=float(sigmas[6]))
    monkeypatch.setattr(pipeline, "generation", generation)
    request = dataclasses.replace(REQUEST, step_reuse=StepReuse.HALF)
    prefix = pipeline.prefill(request)
    steps = list(pipeline.denoise(prefix, seed=11))
    with torch.inference_mode():
        computed = [
            pipeline.model.velocity(steps[i - 1].latent, conditions(sigmas, i), prefix.branches) for i in (3, 5)
        ]
    expected = computed[1] + (sigmas[6] - sigmas[5]) / (sigmas[5] - sigmas[3]) * (computed[1][:1] - computed[0][:1])
    moved = (steps[6].latent - steps[5].latent) / (sigmas[7] - sigmas[6])
    torch.testing.assert_close(moved, expected[:1], atol=1e-4, rtol=1e-4)


def conditions(sigmas: Tensor, step: int) -> Conditions:
    return Conditions(1000 * sigmas[step], 1000 * sigmas[step + 1], REQUEST.guidance_scale)
