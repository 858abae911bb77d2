"""Scenes drawn by lot: repeatable, on whole cells inside the picture, never showing training what is held out."""

from collections import Counter
from itertools import pairwise
from random import Random

import pytest

from mini.train.recipe import GRID_SHARES
from mini.world.colours import COLOURS, HUES
from mini.world.layout import COMMON_WEIGHT, Setting, arrange, sample_scene
from mini.world.places import BACKGROUNDS, PLACES
from mini.world.scene import BIG, MEDIUM, SMALL, Arrangement, Grid, Scene, Style, is_held_out
from mini.world.signs import MAX_LETTERS, MIN_LETTERS, TRAINED_WORDS, is_held_out_word
from mini.world.things import SUPPORTS
from mini.world.vocabulary import COMMON_NOUNS, EMOJI_NOUNS, NOUNS

WIDE = Grid(10, 6)
SUPPORT_NAMES = {noun.name for noun in SUPPORTS}
NUM_THINGS = {
    Arrangement.EMPTY: {0},
    Arrangement.SINGLE: {1},
    Arrangement.BESIDE: {2},
    Arrangement.ABOVE: {2},
    Arrangement.ON: {2},
    Arrangement.IN_FRONT: {2},
    Arrangement.ROW: {3},
    Arrangement.COUNT: {2, 3, 4},
    Arrangement.SIGN: {0},
}
SIDE_BY_SIDE = (Arrangement.BESIDE, Arrangement.ROW, Arrangement.COUNT)


def arranged(arrangement: Arrangement, *, grid: Grid = WIDE, place: str = "meadow", num: int = 50) -> list[Scene]:
    rng, setting = Random(1), Setting(grid=grid, background=BACKGROUNDS[place], split="train")
    return [arrange(rng, arrangement, setting) for _ in range(num)]


def test_the_same_seed_draws_the_same_scene() -> None:
    assert sample_scene(Random(3), WIDE) == sample_scene(Random(3), WIDE)
    assert sample_scene(Random(3), WIDE) != sample_scene(Random(4), WIDE)


def test_training_never_shows_a_held_out_pair(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        for item in scene.objects:
            shown = filter(None, (scene.background, item.colour, item.accessory))
            assert not any(is_held_out(item.noun, other) for other in shown), scene


def test_training_never_shows_a_held_out_word(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        if scene.arrangement is Arrangement.SIGN:
            assert not is_held_out_word(scene.word)
            assert MIN_LETTERS <= len(scene.word) <= min(MAX_LETTERS, scene.grid.columns - 1)
        else:
            assert not scene.word


def test_half_of_the_signs_say_real_words_and_the_longest_stand_in_wide_pictures() -> None:
    words = [scene.word for scene in arranged(Arrangement.SIGN, num=1000)]
    assert 0.45 < sum(word in TRAINED_WORDS for word in words) / len(words) < 0.6
    assert max(map(len, words)) == MAX_LETTERS
    assert {len(scene.word) for scene in arranged(Arrangement.SIGN, grid=Grid(4, 16), num=200)} == {2, 3}
    assert arranged(Arrangement.SIGN, grid=Grid(3, 16), num=1)[0].arrangement is Arrangement.SINGLE


@pytest.mark.parametrize("arrangement", Arrangement)
@pytest.mark.parametrize("place", PLACES)
def test_a_held_out_scene_shows_a_held_out_pair(arrangement: Arrangement, place: str) -> None:
    rng, setting = Random(2), Setting(grid=WIDE, background=PLACES[place], split="held_out")
    for _ in range(10):
        scene = arrange(rng, arrangement, setting)
        assert scene.arrangement in (arrangement, Arrangement.SINGLE)
        assert any(is_held_out(item.noun, place) for item in scene.objects), scene


@pytest.mark.parametrize("place", PLACES)
def test_things_stand_on_what_is_known_in_a_place_or_on_nothing(place: str) -> None:
    known = {name for name in SUPPORT_NAMES if not is_held_out(name, place)}
    scenes = arranged(Arrangement.ON, place=place)
    supports = {scene.objects[0].noun for scene in scenes if scene.arrangement is Arrangement.ON}
    assert supports == (known if PLACES[place].has_ground else set())


def test_everything_there_is_gets_drawn(training_scenes: list[Scene]) -> None:
    items = [item for scene in training_scenes for item in scene.objects]
    assert {item.noun for item in items} == set(NOUNS)
    assert {item.colour for item in items} == {None, *COLOURS}
    assert {(scene.background, scene.mood) for scene in training_scenes} == {
        (place.name, mood) for place in BACKGROUNDS.values() for mood in range(len(place.moods))
    }
    assert {scene.style for scene in training_scenes} == set(Style)
    assert {scene.arrangement for scene in training_scenes} == set(Arrangement)


def test_what_people_ask_for_first_is_drawn_as_much_more_often_as_its_weight_says(training_scenes: list[Scene]) -> None:
    times = Counter(item.noun for scene in training_scenes for item in scene.objects)
    flyers = {noun.name for noun in EMOJI_NOUNS if noun.flies}
    common = [times[noun.name] for noun in EMOJI_NOUNS if noun.name in COMMON_NOUNS - flyers - {"T-Rex"}]
    others = [times[noun.name] for noun in EMOJI_NOUNS if noun.name not in COMMON_NOUNS | flyers]
    assert sum(common) / len(common) == pytest.approx(COMMON_WEIGHT * sum(others) / len(others), rel=0.2)


def test_every_thing_stands_inside_the_picture_in_one_of_the_sizes(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        for item in scene.objects:
            box = item.box
            assert 0 <= box.left <= scene.grid.columns - box.num_cells, scene
            assert 0 <= box.top <= scene.grid.rows - box.num_cells, scene
            sizes = {scene.grid.fitting(BIG + 1)} if item.on_lounger else {SMALL, MEDIUM, scene.grid.fitting(BIG)}
            assert box.num_cells in sizes, scene


def test_what_is_not_in_the_air_stands_on_the_ground(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        if not BACKGROUNDS[scene.background].has_ground:
            continue
        feet = [item.box.bottom for item in scene.objects if not item.in_air]
        match scene.arrangement:
            case Arrangement.ON:
                support, upper = scene.objects
                assert upper.box.bottom == support.box.top
                assert support.box.bottom == scene.grid.rows
            case Arrangement.IN_FRONT:
                assert feet == [scene.grid.rows - 1, scene.grid.rows]
            case _:
                assert set(feet) <= {scene.grid.rows}, scene


def test_only_what_flies_is_in_the_air(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        for item in scene.objects:
            assert NOUNS[item.noun].flies or not item.in_air


def test_every_arrangement_has_its_number_of_things(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        assert len(scene.objects) in NUM_THINGS[scene.arrangement], scene


def test_things_side_by_side_go_from_left_to_right_and_do_not_touch(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        if scene.arrangement in SIDE_BY_SIDE:
            for left, right in pairwise(scene.objects):
                assert left.box.left + left.box.num_cells <= right.box.left, scene


def test_the_upper_of_two_is_wholly_above_the_lower(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        if scene.arrangement is Arrangement.ABOVE:
            upper, lower = scene.objects
            assert upper.box.left == lower.box.left
            assert upper.box.bottom <= lower.box.top, scene


def test_counted_things_are_alike_and_others_are_not(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        nouns = {item.noun for item in scene.objects}
        if scene.arrangement is Arrangement.COUNT:
            alike = {(item.noun, item.colour, item.accessory, item.in_air, item.box.top) for item in scene.objects}
            assert len(alike) == 1, scene
        else:
            assert len(nouns) == len(scene.objects), scene


def test_only_those_with_a_face_wear_things_and_only_those_that_recline_lie_on_loungers(
    training_scenes: list[Scene],
) -> None:
    worn: Counter[str] = Counter()
    for scene in training_scenes:
        for item in scene.objects:
            noun = NOUNS[item.noun]
            if item.accessory:
                worn[item.accessory] += 1
                assert noun.eyes is not None
                assert item.accessory == "sunglasses" or noun.crown is not None
            if item.on_lounger:
                worn["lounger"] += 1
                assert noun.recline_degrees is not None
    assert min(worn.values()) > 100
    assert len(worn) == 4


def test_a_colour_is_seen_on_its_background_and_survives_a_repainting(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        for item in scene.objects:
            noun = NOUNS[item.noun]
            assert f"plain {item.colour}" != scene.background
            assert noun.hue is None or item.colour in {None, *HUES}
            if noun.is_shape and item.noun not in SUPPORT_NAMES:
                assert item.colour is not None


def test_the_documented_example_is_drawn(training_scenes: list[Scene]) -> None:
    assert any(
        scene.background == "beach" and item.noun == "T-Rex" and item.on_lounger and item.accessory == "sunglasses"
        for scene in training_scenes
        for item in scene.objects
    )


@pytest.mark.parametrize("grid", GRID_SHARES, ids=lambda grid: f"{grid.columns}x{grid.rows}")
def test_what_does_not_fit_becomes_one_thing_alone(grid: Grid) -> None:
    for arrangement in Arrangement:
        for scene in arranged(arrangement, grid=grid, num=5):
            assert scene.arrangement in (arrangement, Arrangement.SINGLE)
    assert arranged(Arrangement.ROW, grid=Grid(4, 16), num=1)[0].arrangement is Arrangement.SINGLE


def test_nothing_stands_on_a_table_where_there_is_no_ground() -> None:
    assert {scene.arrangement for scene in arranged(Arrangement.ON, place="space")} == {Arrangement.SINGLE}
