"""Pictures of guidance, steps and negative prompts: what is asked of the checkpoint, and a cell for each drawing."""

from typing import Any, cast

import numpy as np
import pytest

from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.training.evaluation import knobs

NO_PIPELINE = cast(Pipeline, None)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every drawing that was asked for; all of them come out black."""
    drawings: list[dict[str, Any]] = []

    def draw(pipeline: Pipeline, prompt: str, **options: object) -> np.ndarray:
        drawings.append({"prompt": prompt, **options})
        return np.zeros((384, 640, 3), np.uint8)

    monkeypatch.setattr(knobs, "draw", draw)
    return drawings


def test_every_guidance_scale_meets_every_number_of_steps_for_both_prompts(asked: list[dict[str, Any]]) -> None:
    page = knobs.guidance_and_steps(NO_PIPELINE)
    assert {(one["prompt"], one["guidance_scale"], one["num_steps"]) for one in asked} == {
        (prompt, scale, num) for prompt in knobs.PROMPTS for scale in (1, 3, 5, 7.5, 12) for num in (8, 16, 28, 50)
    }
    assert page.width > 5 * knobs.CELL_PX[0]
    assert page.height > 8 * knobs.CELL_PX[1]


def test_every_case_of_the_strip_is_drawn_without_and_with_its_negative_prompt(asked: list[dict[str, Any]]) -> None:
    page = knobs.negative_strip(NO_PIPELINE)
    half = knobs.NUM_NEGATIVE_CASES
    assert [one["prompt"] for one in asked[:half]] == [one["prompt"] for one in asked[half:]]
    assert all(one["negative_prompt"] in one["prompt"] for one in asked[half:])
    assert page.width > half * knobs.CELL_PX[0]
