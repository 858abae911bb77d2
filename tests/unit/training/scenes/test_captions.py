"""Captions: true of the picture, naming what is in it, in many words."""

import re
from random import Random

import pytest
from example_scenes import scene_of, thing

from danqing.training.scenes.backgrounds import BACKGROUNDS
from danqing.training.scenes.captions import (
    BIG_WORDS,
    MAX_WORDS,
    NUMBERS,
    SMALL_WORDS,
    STYLE_ENDINGS,
    STYLE_OPENINGS,
    caption,
    short_prompt,
    with_article,
)
from danqing.training.scenes.grid import BIG, MEDIUM, SMALL
from danqing.training.scenes.scene import Arrangement, Scene, SceneObject, Style
from danqing.training.scenes.vocabulary import NOUNS

WORN = {"sunglasses": "glasses", "hat": "hat", "crown": "crown"}
STYLE_WORDS = {style: {*STYLE_OPENINGS[style], *STYLE_ENDINGS[style]} for style in STYLE_OPENINGS}


@pytest.fixture(scope="module")
def captioned(training_scenes: list[Scene]) -> list[tuple[Scene, str]]:
    rng = Random(4)
    return [(scene, caption(scene, rng)) for scene in training_scenes]


def captions_of(scene: Scene, num: int = 400) -> list[str]:
    rng = Random(2)
    return [caption(scene, rng).lower() for _ in range(num)]


def names_of(item: SceneObject) -> list[str]:
    noun = NOUNS[item.noun]
    names = (noun.name, noun.plural or noun.name + "s", *noun.synonyms)
    return [f"{item.colour} {name}".lower() if item.colour else name.lower() for name in names]


def test_the_same_seed_writes_the_same_caption() -> None:
    scene = scene_of(thing("dog", accessory="hat"))
    assert caption(scene, Random(6)) == caption(scene, Random(6))


def test_every_caption_names_every_thing_with_its_colour(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        for item in scene.objects:
            assert any(name in text.lower() for name in names_of(item)), (text, item)


def test_every_caption_names_what_is_worn_except_by_several(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        for item in scene.objects:
            if item.accessory and scene.arrangement is not Arrangement.COUNT:
                assert WORN[item.accessory] in text, (text, item)


def test_every_caption_names_an_unusual_mood_and_no_other(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        for mood, phrases in enumerate(BACKGROUNDS[scene.background].moods):
            if mood:
                assert any(phrase in text for phrase in phrases) == (mood == scene.mood), (text, scene)


def test_every_caption_names_an_unusual_style_and_no_other(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        named = {style for style, words in STYLE_WORDS.items() if any(word in text.lower() for word in words)}
        assert named == {scene.style} - {Style.FLAT}, text


def test_every_caption_of_a_plain_background_names_its_colour(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        if BACKGROUNDS[scene.background].is_plain:
            colour = scene.background.removeprefix("plain ")
            assert re.search(rf"\b{colour} background|\b(on|On) {colour}\b", text), (text, scene.background)


def test_every_caption_of_a_sign_spells_its_word(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        assert re.findall(r'"(.*?)"', text) == ([scene.word] if scene.word else []), text


def test_the_number_said_is_the_number_drawn(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        if scene.arrangement is Arrangement.COUNT:
            num, item = len(scene.objects), scene.objects[0]
            noun = NOUNS[item.noun]
            plural = " ".join(filter(None, (item.colour, noun.plural or noun.name + "s"))).lower()
            assert re.search(rf"\b({num}|{NUMBERS[num]}) {re.escape(plural)}\b", text.lower()), text


def test_sizes_are_said_of_things_that_have_them(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        sizes = {item.box.num_cells for item in scene.objects if not item.on_lounger}
        said = set(re.findall(r"[a-z]+", text.replace(scene.word, "").lower()))
        assert max(sizes, default=0) >= BIG or not said & set(BIG_WORDS), text
        assert SMALL in sizes or not said & set(SMALL_WORDS), text


def test_captions_are_short_enough_and_long_enough_on_average(captioned: list[tuple[Scene, str]]) -> None:
    counts = [len(text.split()) for _, text in captioned]
    assert max(counts) <= MAX_WORDS
    assert 9 < sum(counts) / len(counts) < 16


@pytest.mark.parametrize("style", [Style.FLAT, Style.PENCIL])
def test_what_is_named_left_stands_left(style: Style) -> None:
    pair = thing("chef", left=1, num_cells=MEDIUM), thing("castle", left=6, num_cells=MEDIUM)
    texts = captions_of(scene_of(*pair, arrangement=Arrangement.BESIDE, style=style))
    assert any("chef on the left" in text for text in texts)
    wrong = re.compile(
        r"castle (on the left|(to the )?left of)|(chef|cook) (on the right|(to the )?right of)"
        r"|castle (and|with|next to|beside) a (chef|cook)|castle, (chef|cook)"
    )
    assert not [text for text in texts if wrong.search(text)]


def test_three_in_a_row_are_named_from_the_left() -> None:
    row = thing("taco", left=0, num_cells=3), thing("bell", left=3, num_cells=3), thing("sloth", left=7, num_cells=3)
    for text in captions_of(scene_of(*row, arrangement=Arrangement.ROW)):
        assert text.index("taco") < text.index("bell") < text.index("sloth"), text


@pytest.mark.parametrize(
    ("arrangement", "right_order"),
    [
        (Arrangement.ABOVE, r"bat (above|over) .*cow|cow (below|under|beneath) .*bat"),
        (Arrangement.ON, r"cow (on|on top of|standing on) .*bat"),
        (Arrangement.IN_FRONT, r"cow in front of .*bat|bat behind .*cow"),
    ],
)
def test_who_is_above_on_or_before_whom_is_said_right(arrangement: Arrangement, right_order: str) -> None:
    for text in captions_of(scene_of(thing("bat"), thing("cow"), arrangement=arrangement)):
        assert re.search(right_order, text), text


def test_one_thing_at_a_side_is_mostly_said_to_be_there_and_one_in_the_middle_never() -> None:
    left = captions_of(scene_of(thing("dog", left=0, num_cells=MEDIUM)))
    assert sum("left" in text for text in left) > 0.5 * len(left)
    for text in [*left, *captions_of(scene_of(thing("dog")))]:
        assert "right" not in text
    assert not any("left" in text for text in captions_of(scene_of(thing("dog"))))


def test_nothing_is_worn_or_lain_on_that_the_picture_does_not_show() -> None:
    for text in captions_of(scene_of(thing("dog"))):
        assert not re.search(r"wearing|glasses|\bhat\b|crown|lounger|deck chair", text), text


def test_the_documented_example_is_among_the_captions_of_its_scene() -> None:
    scene = scene_of(thing("T-Rex", num_cells=6, accessory="sunglasses", on_lounger=True))
    example = "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses."
    rng = Random(0)
    assert any(caption(scene, rng) == example for _ in range(20_000))


def test_a_short_prompt_names_every_thing_and_not_its_side(training_scenes: list[Scene]) -> None:
    rng = Random(5)
    for scene in training_scenes[:3000]:
        text = short_prompt(scene, rng).lower()
        assert scene.word.lower() in text
        for item in scene.objects:
            assert any(name in text for name in names_of(item)), (text, item)
        if scene.arrangement is Arrangement.SINGLE:
            assert not re.search(r"on the (left|right)", text), text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("UFO", "a UFO"),
        ("unicorn", "a unicorn"),
        ("umbrella", "an umbrella"),
        ("orange car", "an orange car"),
        ("Statue of Liberty", "the Statue of Liberty"),
        ("Santa Claus", "Santa Claus"),
    ],
)
def test_an_article_fits_the_sound_that_follows(name: str, text: str) -> None:
    assert with_article(name) == text
