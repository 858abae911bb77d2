"""Scenes drawn by lot: repeatable, inside the frame, and never showing training what is held out."""

from itertools import pairwise
from random import Random

import pytest

from danqing.training.scenes.backgrounds import BACKGROUNDS, PLACES
from danqing.training.scenes.scene import Scene, is_held_out, sample_scene
from danqing.training.scenes.vocabulary import EMOJI_NOUNS, NOUNS

ASPECTS = (0.5, 0.6, 1.0, 1.667, 2.0)


def _scenes(num: int, *, split: str = "train") -> list[tuple[Scene, float]]:
    rng = Random(5)
    drawn = []
    for index in range(num):
        aspect = ASPECTS[index % len(ASPECTS)]
        drawn.append((sample_scene(rng, aspect, split=split), aspect))  # type: ignore[arg-type]
    return drawn


def test_the_same_seed_draws_the_same_scene() -> None:
    assert sample_scene(Random(3), 1.5) == sample_scene(Random(3), 1.5)
    assert sample_scene(Random(3), 1.5) != sample_scene(Random(4), 1.5)


def test_training_never_shows_a_held_out_pair() -> None:
    for scene, _ in _scenes(4000):
        assert not any(is_held_out(item.noun, scene.background) for item in scene.objects)


def test_every_held_out_scene_shows_a_held_out_pair() -> None:
    for scene, _ in _scenes(2000, split="held_out"):
        assert any(is_held_out(item.noun, scene.background) for item in scene.objects)


def test_about_a_tenth_of_the_pairs_is_held_out_but_never_the_documented_example() -> None:
    pairs = [(noun.name, place) for noun in EMOJI_NOUNS for place in PLACES]
    share = sum(is_held_out(*pair) for pair in pairs) / len(pairs)
    assert 0.07 < share < 0.13
    assert not is_held_out("T-Rex", "beach")


def test_every_noun_and_every_background_is_drawn() -> None:
    scenes = [scene for scene, _ in _scenes(12000)]
    assert {item.noun for scene in scenes for item in scene.objects} == set(NOUNS)
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)


def test_everything_lies_inside_the_frame_and_beside_things_do_not_overlap() -> None:
    for scene, aspect in _scenes(4000):
        x_per_unit = min(1.0, aspect) / aspect
        for item in scene.objects:
            half = item.size * x_per_unit / 2
            assert half - 0.005 <= item.x <= 1.005 - half, scene
            assert 0.0 < item.y <= 0.975, scene
        ordered = sorted(scene.objects, key=lambda item: item.x)
        for left, right in pairwise(ordered):
            if left.x != right.x:
                assert right.x - left.x >= (left.size + right.size) / 2 * x_per_unit - 0.02, scene


def test_only_nouns_with_a_head_wear_things_and_only_nouns_that_recline_lie_on_loungers() -> None:
    worn = lain = 0
    for scene, _ in _scenes(4000):
        for item in scene.objects:
            noun = NOUNS[item.noun]
            if item.accessory:
                worn += 1
                assert noun.eyes is not None
                assert item.accessory == "sunglasses" or noun.crown is not None
            if item.on_lounger:
                lain += 1
                assert noun.recline_degrees is not None
    assert worn > 100
    assert lain > 100


@pytest.mark.parametrize("aspect", [0.4, 2.5])
def test_an_aspect_outside_the_world_is_refused_by_name(aspect: float) -> None:
    with pytest.raises(ValueError, match="aspect must lie between"):
        sample_scene(Random(0), aspect)
