"""Sheets: every picture in its cell, row by row."""

from typing import Any, cast

import numpy as np
import pytest

from danqing.hunyuan_image3.pipeline import Pipeline
from mini.judge import sheets
from mini.judge.detector import Detection, Detector
from mini.judge.negative_prompts import open_prompts
from mini.judge.sheets import MARGIN_PX, sheet

NO_PIPELINE = cast(Pipeline, None)


def test_pictures_fill_rows_from_the_left() -> None:
    pictures = [("words", np.full((12, 20, 3), 40 * k, np.uint8)) for k in range(5)]
    page = np.asarray(sheet(pictures, num_columns=2, width_px=100, height_px=60, num_lines=1))
    step_x, step_y = 100 + MARGIN_PX, (page.shape[0] - MARGIN_PX) // 3
    for k in range(5):
        y, x = MARGIN_PX + k // 2 * step_y + 30, MARGIN_PX + k % 2 * step_x + 50
        assert (page[y, x] == 40 * k).all()
    assert (page[MARGIN_PX + 2 * step_y + 30, MARGIN_PX + step_x + 50] == 255).all()


def test_words_stand_below_their_picture() -> None:
    page = np.asarray(sheet([("A dog.", np.zeros((6, 10, 3), np.uint8))], num_columns=1, width_px=200, height_px=120))
    below = page[MARGIN_PX + 120 :]
    assert (below < 128).any()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every drawing that was asked for; all of them come out black."""
    drawings: list[dict[str, Any]] = []

    def draw(pipeline: Pipeline, prompt: str, **options: object) -> np.ndarray:
        drawings.append({"prompt": prompt, **options})
        return np.zeros((384, 640, 3), np.uint8)

    monkeypatch.setattr(sheets, "draw", draw)
    return drawings


def test_every_guidance_scale_meets_every_number_of_steps_for_both_prompts(asked: list[dict[str, Any]]) -> None:
    page = sheets.guidance_and_steps(NO_PIPELINE)
    assert {(one["prompt"], one["guidance_scale"], one["num_steps"]) for one in asked} == {
        (prompt, scale, num) for prompt in sheets.PROMPTS for scale in (1, 3, 5, 7.5, 12) for num in (8, 16, 28, 50)
    }
    assert page.width > 5 * sheets.CELL_PX[0]
    assert page.height > 8 * sheets.CELL_PX[1]


class OneTrack:
    """Sees these nouns in whatever picture."""

    def __init__(self, *nouns: str) -> None:
        self.nouns = nouns

    def detect(self, _: object) -> list[Detection]:
        return [Detection(noun=noun, colour="own", x=0.5, y=0.5, score=0.9) for noun in self.nouns]


def test_what_was_seen_of_the_kind_is_drawn_again_in_the_negative_prompt(asked: list[dict[str, Any]]) -> None:
    page = sheets.negative_strip(NO_PIPELINE, cast(Detector, OneTrack("umbrella", "dog", "house")))
    again = [(one["prompt"], one["negative_prompt"]) for one in asked if "negative_prompt" in one]
    wanted = {"animal": "dog", "building": "house"}
    prompts = [prompt for prompt in open_prompts(sheets.NUM_NEGATIVE_TRIES) if prompt.kind in wanted]
    assert again == [(prompt.text, wanted[prompt.kind]) for prompt in prompts]
    assert page.width > len(again) * sheets.CELL_PX[0]


def test_the_strip_holds_no_more_cases_than_there_is_room_for_and_may_hold_none(asked: list[dict[str, Any]]) -> None:
    everything = OneTrack("dog", "house", "car", "apple", "pizza", "man", "cake", "drum")
    sheets.negative_strip(NO_PIPELINE, cast(Detector, everything))
    assert len(asked) == 2 * sheets.NUM_NEGATIVE_CASES
    assert sheets.negative_strip(NO_PIPELINE, cast(Detector, OneTrack())).width > 0
