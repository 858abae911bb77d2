"""Full descriptions: one sentence, always in the same order, that leaves nothing open."""

import re

import pytest
from example_scenes import scene_of, thing

from mini.world.detailed_captions import OPENINGS, detailed_caption
from mini.world.phrases import ACCESSORY_PLURALS
from mini.world.places import BACKGROUNDS
from mini.world.scene import MEDIUM, SMALL, Arrangement, Scene, Style
from mini.world.vocabulary import NOUNS

WORN = {"sunglasses": "sunglasses", "hat": "a hat", "crown": "a crown"}


def test_a_description_is_one_sentence_from_style_to_mood(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        text, place = detailed_caption(scene), BACKGROUNDS[scene.background]
        assert text.startswith(f"{OPENINGS[scene.style]} of "), text
        where = place.what[0] if scene.arrangement is Arrangement.EMPTY else f", {place.where[0]}"
        ending = " ".join([where, *place.moods[scene.mood][:1]])
        assert text.endswith(f"{ending}."), text
        assert not re.search(r"\.(?=.)|  |None| ,", text), text


def test_a_description_names_every_thing_by_its_one_name(training_scenes: list[Scene]) -> None:
    for scene in training_scenes:
        text = detailed_caption(scene)
        for item in scene.objects:
            noun = NOUNS[item.noun]
            counted = scene.arrangement is Arrangement.COUNT
            name = (noun.plural or noun.name + "s") if counted else noun.name
            assert (f"{item.colour} {name}" if item.colour else name) in text, text
            worn = (ACCESSORY_PLURALS if counted else WORN)[item.accessory] if item.accessory else ""
            assert (f"wearing {worn}" if worn else "") in text, text
        assert scene.word in text


def test_scenes_that_differ_in_style_or_mood_are_described_differently() -> None:
    moods = [scene_of(thing("dog"), mood=mood) for mood in range(len(BACKGROUNDS["beach"].moods))]
    styles = [scene_of(thing("dog"), style=style) for style in Style]
    texts = {detailed_caption(scene) for scene in (*moods, *styles)}
    assert len(texts) == len(moods) + len(styles) - 1


SMALL_CAR = thing("car", left=7, num_cells=SMALL, colour="blue")


@pytest.mark.parametrize(
    ("scene", "text"),
    [
        (scene_of(mood=1, arrangement=Arrangement.EMPTY), "A flat illustration of a beach in the evening."),
        (
            scene_of(thing("elephant"), style=Style.PENCIL),
            "A pencil drawing of a big elephant in the middle, on a beach on a sunny day.",
        ),
        (
            scene_of(SMALL_CAR, background="plain red"),
            "A flat illustration of a small blue car on the right, on a red background.",
        ),
        (
            scene_of(thing("T-Rex", num_cells=6, accessory="sunglasses", on_lounger=True)),
            "A flat illustration of a T-Rex lying on a sun lounger and wearing sunglasses in the middle, "
            "on a beach on a sunny day.",
        ),
        (
            scene_of(thing("owl", num_cells=MEDIUM, accessory="hat"), SMALL_CAR, arrangement=Arrangement.BESIDE),
            "A flat illustration of an owl wearing a hat on the left and a small blue car on the right, "
            "on a beach on a sunny day.",
        ),
        (
            scene_of(*[thing("mouse", left=3 * k, num_cells=SMALL) for k in range(3)], arrangement=Arrangement.COUNT),
            "A flat illustration of three mice in a row, on a beach on a sunny day.",
        ),
        (
            scene_of(
                *[thing("pig", left=3 * k, num_cells=MEDIUM, accessory="crown") for k in range(2)],
                arrangement=Arrangement.COUNT,
            ),
            "A flat illustration of two pigs wearing crowns in a row, on a beach on a sunny day.",
        ),
        (
            scene_of(thing("table", num_cells=MEDIUM), thing("cake", num_cells=MEDIUM), arrangement=Arrangement.ON),
            "A flat illustration of a cake on a table, on a beach on a sunny day.",
        ),
        (
            scene_of(thing("castle"), SMALL_CAR, arrangement=Arrangement.IN_FRONT),
            "A flat illustration of a small blue car in front of a big castle, on a beach on a sunny day.",
        ),
        (
            scene_of(arrangement=Arrangement.SIGN, word="OPEN"),
            'A flat illustration of a wooden sign that says "OPEN", on a beach on a sunny day.',
        ),
    ],
    ids=lambda value: value.arrangement.value if isinstance(value, Scene) else "",
)
def test_a_description_says_size_side_and_what_is_worn(scene: Scene, text: str) -> None:
    assert detailed_caption(scene) == text
