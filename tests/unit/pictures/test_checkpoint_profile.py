"""The profile of a checkpoint: its defaults, and what it warns of."""

import pytest

from danqing.pictures.checkpoint_profile import CheckpointProfile
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
    assert CheckpointProfile().defaults == {"num_inference_steps": 28, "guidance_scale": 7.5}


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
    listed = CheckpointProfile(takes_negative_prompt=False, expands=False).without_effect
    assert set(listed) == {"negative_prompt", "enable_prompt_expansion"}
