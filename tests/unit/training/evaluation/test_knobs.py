"""Pictures of guidance, steps and negative prompts: what is asked of the checkpoint, and a cell for each drawing."""

from typing import Any, cast

import numpy as np
import pytest

from danqing.hunyuan_image3.pipeline import Pipeline
from danqing.training.evaluation import knobs
from danqing.training.evaluation.detector import Detection, Detector
from danqing.training.evaluation.negative_prompts import open_prompts

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


class OneTrack:
    """Sees these nouns in whatever picture."""

    def __init__(self, *nouns: str) -> None:
        self.nouns = nouns

    def detect(self, _: object) -> list[Detection]:
        return [Detection(noun=noun, colour="own", x=0.5, y=0.5, score=0.9) for noun in self.nouns]


def test_what_was_seen_of_the_kind_is_drawn_again_in_the_negative_prompt(asked: list[dict[str, Any]]) -> None:
    page = knobs.negative_strip(NO_PIPELINE, cast(Detector, OneTrack("umbrella", "dog", "house")))
    again = [(one["prompt"], one["negative_prompt"]) for one in asked if "negative_prompt" in one]
    wanted = {"animal": "dog", "building": "house"}
    prompts = [prompt for prompt in open_prompts(knobs.NUM_NEGATIVE_TRIES) if prompt.kind in wanted]
    assert again == [(prompt.text, wanted[prompt.kind]) for prompt in prompts]
    assert page.width > len(again) * knobs.CELL_PX[0]


def test_the_strip_holds_no_more_cases_than_there_is_room_for_and_may_hold_none(asked: list[dict[str, Any]]) -> None:
    everything = OneTrack("dog", "house", "car", "apple", "pizza", "man", "cake", "drum")
    knobs.negative_strip(NO_PIPELINE, cast(Detector, everything))
    assert len(asked) == 2 * knobs.NUM_NEGATIVE_CASES
    assert knobs.negative_strip(NO_PIPELINE, cast(Detector, OneTrack())).width > 0
