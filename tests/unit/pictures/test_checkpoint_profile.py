"""The profile of a checkpoint: its defaults, and what it warns of."""

from dataclasses import replace

import pytest

from danqing.pictures.checkpoint_profile import MIN_STEPS_FOR_REUSE, CheckpointProfile
from danqing.pictures.request import ImageRequest
from danqing.pictures.vocabulary import Vocabulary


def request(*, negative_prompt: str, guidance_scale: float) -> ImageRequest:
    return ImageRequest(
        prompt="a fox",
        seed=1,
        width_px=None,
        height_px=None,
        negative_prompt=negative_prompt,
        guidance_scale=guidance_scale,
    )


def test_without_a_checkpoint_the_documented_defaults_stand() -> None:
    assert CheckpointProfile().defaults == {"num_inference_steps": 28, "guidance_scale": 7.5, "step_reuse": "none"}


@pytest.mark.parametrize(
    ("takes", "negative_prompt", "guidance_scale", "warned"),
    [
        (True, "fog", 7.5, None),
        (True, "fog", 1.0, "with guidance_scale 1"),
        (True, "", 1.0, None),
        (False, "fog", 7.5, "distilled"),
        (False, "", 7.5, None),
    ],
)
def test_a_negative_prompt_that_cannot_act_is_warned_of(
    takes: bool, negative_prompt: str, guidance_scale: float, warned: str | None
) -> None:
    asked = request(negative_prompt=negative_prompt, guidance_scale=guidance_scale)
    warnings = CheckpointProfile(takes_negative_prompt=takes).warnings(asked)
    assert len(warnings) == (warned is not None)
    assert all(warned in warning and warning.startswith("negative_prompt: has no effect") for warning in warnings)


def test_words_that_the_checkpoint_does_not_know_are_warned_of() -> None:
    vocabulary = Vocabulary("mini", frozenset({"cat"}))
    asked = request(negative_prompt="fog", guidance_scale=1)
    assert CheckpointProfile(vocabulary=vocabulary).warnings(asked) == (
        "mini does not know: fox",
        "negative_prompt: has no effect with guidance_scale 1",
    )


def test_fields_that_can_never_act_are_listed_with_the_reason() -> None:
    assert CheckpointProfile().without_effect == {}
    listed = CheckpointProfile(
        takes_negative_prompt=False, expands=False, reuse_hindrance="it is distilled"
    ).without_effect
    assert set(listed) == {"negative_prompt", "enable_prompt_expansion", "step_reuse"}


@pytest.mark.parametrize(
    ("hindrance", "step_reuse", "num_steps", "warned"),
    [
        ("", "half", MIN_STEPS_FOR_REUSE, None),
        ("", "half", MIN_STEPS_FOR_REUSE - 1, "step_reuse: has no effect with fewer than 12 num_inference_steps"),
        ("", "none", 1, None),
        ("it is distilled", "third", 28, "step_reuse: has no effect; it is distilled"),
        ("it is distilled", "none", 28, None),
    ],
)
def test_a_step_reuse_that_cannot_act_is_warned_of_and_left_out(
    hindrance: str, step_reuse: str, num_steps: int, warned: str | None
) -> None:
    profile = CheckpointProfile(reuse_hindrance=hindrance)
    asked = replace(
        request(negative_prompt="", guidance_scale=7.5), step_reuse=step_reuse, num_inference_steps=num_steps
    )
    assert profile.warnings(asked) == (() if warned is None else (warned,))
    assert profile.effective(asked) == (asked if warned is None else replace(asked, step_reuse="none"))
