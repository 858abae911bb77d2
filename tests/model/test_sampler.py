"""The schedule, the noise and the Euler walk, by numbers worked out by hand."""

import math

import pytest
import torch
from torch import Tensor

from danqing.hunyuan_image3.sampler import Conditions, denoise, guide, schedule, start_noise


def test_the_schedule_is_the_shifted_line() -> None:
    # sigma 1, 3/4, 1/2, 1/4, 0 with 3 s / (1 + 2 s).
    torch.testing.assert_close(schedule(4, shift=3.0), torch.tensor([1.0, 0.9, 0.75, 0.5, 0.0]))


def test_shift_one_is_a_straight_line() -> None:
    torch.testing.assert_close(schedule(4, shift=1.0), torch.tensor([1.0, 0.75, 0.5, 0.25, 0.0]))


@pytest.mark.parametrize("num_steps", [1, 28, 50])
def test_the_schedule_runs_from_one_down_to_zero(num_steps: int) -> None:
    sigmas = schedule(num_steps, shift=3.0)
    assert len(sigmas) == num_steps + 1
    assert (sigmas[0], sigmas[-1]) == (1, 0)
    assert (sigmas[1:] < sigmas[:-1]).all()


def test_guidance_goes_from_the_unconditional_through_the_conditional_branch() -> None:
    velocity = torch.tensor([3.0, 1.0])[:, None, None, None]
    assert guide(velocity, guidance_scale=7.5).item() == 1 + 7.5 * 2
    assert guide(velocity, guidance_scale=0.0).item() == 1


def test_one_branch_is_taken_as_it_is() -> None:
    velocity = torch.full((1, 1, 1, 1), 3.0)
    assert guide(velocity, guidance_scale=1.0).item() == 3


def test_a_push_longer_than_the_bound_is_shortened_token_by_token() -> None:
    torch.manual_seed(0)
    velocity = torch.randn(2, 5, 3, 4)
    velocity[1] *= torch.linspace(0.0, 2.0, 12).view(3, 4)
    guided = guide(velocity, guidance_scale=3.0, max_push=2.5)[0]
    shortened = 0
    for row in range(3):
        for column in range(4):
            conditional, unconditional = (velocity[i, :, row, column].tolist() for i in range(2))
            push = [2 * (c - u) for c, u in zip(conditional, unconditional, strict=True)]
            share = min(1.0, 2.5 * math.hypot(*conditional) / math.hypot(*push))
            shortened += share < 1
            expected = [c + share * p for c, p in zip(conditional, push, strict=True)]
            torch.testing.assert_close(guided[:, row, column], torch.tensor(expected))
    assert 0 < shortened < 12


def test_a_push_within_the_bound_is_what_it_is_without_one() -> None:
    velocity = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        guide(velocity, guidance_scale=7.5, max_push=1e6), guide(velocity, guidance_scale=7.5), atol=1e-5, rtol=1e-5
    )


def test_a_bound_leaves_equal_branches_and_a_still_field_finite() -> None:
    same = torch.randn(1, 5, 3, 4).expand(2, -1, -1, -1)
    assert torch.equal(guide(same, guidance_scale=7.5, max_push=1.0), same[:1])
    still = torch.stack([torch.zeros(5, 3, 4), torch.ones(5, 3, 4)])
    assert torch.equal(guide(still, guidance_scale=7.5, max_push=1.0), still[:1])
    assert torch.equal(guide(torch.zeros(2, 5, 3, 4), guidance_scale=7.5, max_push=1.0), torch.zeros(1, 5, 3, 4))


def test_one_branch_needs_no_bound() -> None:
    velocity = torch.randn(1, 5, 3, 4)
    assert torch.equal(guide(velocity, guidance_scale=7.5, max_push=0.1), velocity)


def test_a_straight_path_ends_at_its_picture_in_any_number_of_steps() -> None:
    noise, picture = torch.randn(1, 2, 3, 4), torch.randn(1, 2, 3, 4)
    for num_steps in (1, 5):
        steps = list(
            denoise(
                lambda latent, at: noise - picture,
                noise,
                sigmas=schedule(num_steps, shift=3.0),
                guidance_scale=1.0,
            )
        )
        torch.testing.assert_close(steps[-1].latent, picture)
        for step in steps:
            torch.testing.assert_close(step.clean_latent, picture)
        assert [(step.step, step.num_steps) for step in steps] == [(i + 1, num_steps) for i in range(num_steps)]


def test_a_field_proportional_to_the_latent_multiplies_it_at_every_step() -> None:
    sigmas = schedule(3, shift=2.0)
    expected = 1.0
    for i in range(3):
        expected *= 1 + 0.5 * (sigmas[i + 1] - sigmas[i]).item()
    *_, last = denoise(lambda latent, at: 0.5 * latent, torch.ones(1, 1, 1, 1), sigmas=sigmas, guidance_scale=1.0)
    assert last.latent.item() == pytest.approx(expected, rel=1e-6)


def test_the_network_is_asked_at_a_thousand_times_sigma() -> None:
    asked: list[Conditions] = []

    def predict(latent: Tensor, conditions: Conditions) -> Tensor:
        asked.append(conditions)
        return torch.zeros_like(latent)

    list(denoise(predict, torch.zeros(1, 1, 1, 1), sigmas=schedule(4, shift=3.0), guidance_scale=2.5))
    assert [each.t.item() for each in asked] == pytest.approx([1000.0, 900.0, 750.0, 500.0])
    assert [each.next_t.item() for each in asked] == pytest.approx([900.0, 750.0, 500.0, 0.0])
    assert {each.guidance_scale for each in asked} == {2.5}


def test_nothing_is_computed_before_the_first_step_is_asked_for() -> None:
    def predict(latent: Tensor, conditions: Conditions) -> Tensor:
        raise AssertionError("asked too early")

    denoise(predict, torch.zeros(1, 1, 1, 1), sigmas=schedule(4, shift=3.0), guidance_scale=1.0)


def noise(seed: int, *, channels: int = 8) -> Tensor:
    return start_noise(seed, channels=channels, height=4, width=6)


def test_noise_follows_its_seed_alone() -> None:
    first = noise(7)
    torch.manual_seed(123)
    torch.randn(5)
    assert torch.equal(noise(7), first)
    assert not torch.equal(noise(8), first)
    assert (first.shape, first.dtype, first.device.type) == ((1, 8, 4, 6), torch.float32, "cpu")


def test_drawing_noise_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    noise(7)
    assert torch.equal(torch.randn(3), expected)


def test_more_channels_keep_the_first_ones() -> None:
    assert torch.equal(noise(7, channels=16)[:, :8], noise(7))


def test_noise_has_unit_spread_and_the_precision_of_bfloat16() -> None:
    many = start_noise(1, channels=64, height=32, width=32)
    assert many.mean().abs() < 0.01
    assert (many.std() - 1).abs() < 0.01
    assert torch.equal(many, many.bfloat16().float())


@pytest.mark.parametrize("seed", [0, 1, 2**63 - 1, 2**63 + 2])
def test_every_seed_of_the_wire_and_its_followers_can_be_drawn(seed: int) -> None:
    assert noise(seed).isfinite().all()
