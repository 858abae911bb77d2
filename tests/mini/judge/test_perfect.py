"""The scenes of a perfect painter: they show exactly what the prompt asked for, where it asked for it."""

from collections import Counter

import pytest

from mini.judge.drawing import GRID, HEIGHT_PX, WIDTH_PX, draw_scene, for_detector
from mini.judge.perfect import empty_scene, perfect_scene
from mini.judge.prompts import Relation, evaluation_prompts

PROMPTS = evaluation_prompts()


def test_a_perfect_scene_shows_exactly_what_is_wanted_and_where() -> None:
    for prompt in PROMPTS:
        scene = perfect_scene(prompt, GRID)
        shown = Counter((item.noun, item.colour) for item in scene.objects)
        assert shown == {(one.noun, one.colour): one.count for one in prompt.wanted}
        assert scene.background == prompt.place
        assert all(item.accessory is None for item in scene.objects)


def test_relations_hold_in_perfect_scenes() -> None:
    for prompt in PROMPTS:
        if prompt.relation is None:
            continue
        boxes = {item.noun: item.box for item in perfect_scene(prompt, GRID).objects}
        one, other = (boxes[wanted.noun] for wanted in prompt.wanted)
        assert {
            Relation.LEFT: one.left < other.left,
            Relation.RIGHT: one.left > other.left,
            Relation.ABOVE: one.top < other.top,
            Relation.BELOW: one.top > other.top,
        }[prompt.relation]


def test_an_empty_scene_keeps_only_the_place() -> None:
    scene = empty_scene(PROMPTS[0], GRID)
    assert scene.objects == ()
    assert scene.background == PROMPTS[0].place


@pytest.mark.usefixtures("emoji_font_installed")
def test_the_detector_reads_pictures_of_a_quarter_of_the_size() -> None:
    pixels = for_detector(draw_scene(perfect_scene(PROMPTS[0], GRID)))
    assert pixels.shape == (3, HEIGHT_PX // 4, WIDTH_PX // 4)
    assert -1 <= pixels.min() < pixels.max() <= 1
