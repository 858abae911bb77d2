"""The profile of a checkpoint: its defaults, and what it warns of."""

import pytest

from danqing.pictures.checkpoint_profile import CheckpointProfile
from danqing.pictures.request import ImageRequest


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
