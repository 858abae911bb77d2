"""Captions: true of the picture, naming what is in it, in many words."""

import re
from random import Random

import pytest
from example_scenes import scene_of, thing

from mini.world.captions import (
    FLAT_ENDINGS,
    MAX_WORDS,
    NEUTRAL_ENDINGS,
    OPENINGS,
    STYLE_ENDINGS,
    STYLE_OPENINGS,
    caption,
    short_prompt,
)
from mini.world.phrases import ACCESSORY_PLURALS, BIG_WORDS, NUMBERS, SMALL_WORDS, terse, without_article
from mini.world.places import BACKGROUNDS
from mini.world.scene import BIG, MEDIUM, SMALL, Arrangement, Scene, SceneObject, Style
from mini.world.vocabulary import KIND_OF, NOUNS

WORN = {"sunglasses": "glasses", "hat": "hat", "crown": "crown"}
# A short prompt may leave the articles out.
STYLE_WORDS = {
    style: {
        *STYLE_ENDINGS[style],
        *map(terse, STYLE_ENDINGS[style]),
        *map(without_article, STYLE_OPENINGS[style]),
        *map(terse, STYLE_OPENINGS[style]),
    }
    for style in STYLE_OPENINGS
}


@pytest.fixture(scope="module")
def captioned(training_scenes: list[Scene]) -> list[tuple[Scene, str]]:
    rng = Random(4)
    return [(scene, caption(scene, rng)) for scene in training_scenes]


def captions_of(scene: Scene, num: int = 400) -> list[str]:
    rng = Random(2)
    return [caption(scene, rng).lower() for _ in range(num)]


def styles_named(text: str) -> set[Style]:
    return {style for style, words in STYLE_WORDS.items() if any(word in text.lower() for word in words)}


def names_of(item: SceneObject) -> list[str]:
    noun = NOUNS[item.noun]
    names = [noun.name, noun.plural or noun.name + "s", *noun.synonyms]
    if item.noun in KIND_OF and not item.accessory:
        names += [KIND_OF[item.noun].name, KIND_OF[item.noun].plural]
    return [f"{item.colour} {name}".lower() if item.colour else name.lower() for name in names]


def written(text: str) -> list[str]:
    """What a sign says: the words in quotes, or what follows "says" without any."""
    quoted = re.findall(r"""(?<!\w)(?:"(\w+)"|'(\w+)')""", text)
    return ["".join(pair) for pair in quoted] or re.findall(r"(?:that says|saying) (\w+)", text)


def without_written(text: str) -> str:
    """The rest of the text."""
    return re.sub(r"""["'].*["']|(?:that says|saying) \w+""", "", text)


def test_the_same_seed_writes_the_same_caption() -> None:
    scene = scene_of(thing("dog", accessory="hat"))
    assert caption(scene, Random(6)) == caption(scene, Random(6))


def test_every_caption_names_every_thing_with_its_colour(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        for item in scene.objects:
            assert any(name in text.lower() for name in names_of(item)), (text, item)


def test_every_caption_names_what_is_worn_by_one_or_by_several(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        for item in scene.objects:
            if item.accessory:
                several = scene.arrangement is Arrangement.COUNT
                assert (ACCESSORY_PLURALS if several else WORN)[item.accessory] in text, (text, item)


def test_a_few_mentions_leave_open_which_one_of_its_kind_a_thing_is() -> None:
    lone = captions_of(scene_of(thing("pizza", colour=None)), num=2000)
    coloured = captions_of(scene_of(thing("apple", colour="blue")), num=2000)
    pair = captions_of(scene_of(thing("dog"), thing("dog"), arrangement=Arrangement.COUNT), num=2000)
    assert 0.02 < sum("food" in text for text in lone) / len(lone) < 0.06
    assert 0.02 < sum("a blue fruit" in text or "big blue fruit" in text for text in coloured) / len(coloured) < 0.06
    assert 0.02 < sum(bool(re.search(r"\b(two|2) animals\b", text)) for text in pair) / len(pair) < 0.06
    assert not any("a food" in text for text in lone)
    assert not any("animal" in text for text in captions_of(scene_of(thing("dog", accessory="hat")), num=1000))


def test_every_caption_names_an_unusual_mood_and_no_other(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        for mood, phrases in enumerate(BACKGROUNDS[scene.background].moods):
            if mood:
                assert any(phrase in text for phrase in phrases) == (mood == scene.mood), (text, scene)


def test_every_caption_names_an_unusual_style_and_no_other(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        assert styles_named(text) == {scene.style} - {Style.FLAT}, text


def test_a_style_is_said_first_only_of_what_has_a_name(captioned: list[tuple[Scene, str]]) -> None:
    openings = [words for several in STYLE_OPENINGS.values() for words in several]
    for _, text in captioned:
        for words in openings:
            rest = text.lower().removeprefix(words + " ")
            if rest != text.lower():
                assert not rest.startswith(("there ", "in ", "on ", "at ", "by ", *OPENINGS)), text
                assert not re.search(r"\b(is|are) (wearing|lying|resting)\b", rest), text


def test_an_ending_does_not_speak_against_the_style(captioned: list[tuple[Scene, str]]) -> None:
    endings: dict[bool, set[str]] = {True: set(), False: set()}
    for scene, text in captioned:
        _, dot, ending = text.removesuffix(".").rpartition(". ")
        if dot and not ending.startswith("rex"):
            endings[scene.style is Style.FLAT].add(ending)
    assert endings == {True: set(FLAT_ENDINGS), False: set(NEUTRAL_ENDINGS)}


def test_every_caption_of_a_plain_background_names_its_colour(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        if BACKGROUNDS[scene.background].is_plain:
            colour = scene.background.removeprefix("plain ")
            assert re.search(rf"\b{colour} background|\b(on|On) {colour}\b", text), (text, scene.background)


def test_every_caption_of_a_sign_spells_its_word(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        words = [word.upper() for word in written(text)]
        assert words == ([scene.word] if scene.word else []), text


def test_a_word_is_mostly_typed_as_it_stands_on_the_sign() -> None:
    rng, scene = Random(2), scene_of(arrangement=Arrangement.SIGN, word="OPEN")
    texts = [caption(scene, rng) for _ in range(2000)]
    for word, share in (("OPEN", 0.70), ("Open", 0.15), ("open", 0.15)):
        assert sum(written(text) == [word] for text in texts) / 2000 == pytest.approx(share, abs=0.04)
    assert sum('"' in text for text in texts) / 2000 == pytest.approx(0.80 * 0.85, abs=0.04)
    assert sum('"' not in text and "'" not in text for text in texts) / 2000 == pytest.approx(0.20, abs=0.04)


def test_the_number_said_is_the_number_drawn(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        if scene.arrangement is Arrangement.COUNT:
            num, item = len(scene.objects), scene.objects[0]
            noun = NOUNS[item.noun]
            plurals = [noun.plural or noun.name + "s"]
            if item.noun in KIND_OF:
                plurals.append(KIND_OF[item.noun].plural)
            said = [" ".join(filter(None, (item.colour, plural))).lower() for plural in plurals]
            assert re.search(rf"\b({num}|{NUMBERS[num]}) ({'|'.join(map(re.escape, said))})\b", text.lower()), text


def test_sizes_are_said_of_things_that_have_them(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        sizes = {item.box.num_cells for item in scene.objects if not item.on_lounger}
        said = set(re.findall(r"[a-z]+", without_written(text).lower()))
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
    row = [thing(noun, left=3 * k, num_cells=3) for k, noun in enumerate(("umbrella", "bell", "anchor"))]
    for text in captions_of(scene_of(*row, arrangement=Arrangement.ROW)):
        assert text.index("umbrella") < text.index("bell") < text.index("anchor"), text


@pytest.mark.parametrize(
    ("arrangement", "right_order"),
    [
        (Arrangement.ABOVE, r"bell (above|over) .*umbrella|umbrella (below|under|beneath) .*bell"),
        (Arrangement.ON, r"umbrella (on|on top of|standing on) .*bell"),
        (Arrangement.IN_FRONT, r"umbrella in front of .*bell|bell behind .*umbrella"),
    ],
)
def test_who_is_above_on_or_before_whom_is_said_right(arrangement: Arrangement, right_order: str) -> None:
    for text in captions_of(scene_of(thing("bell"), thing("umbrella"), arrangement=arrangement)):
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
            assert any(name in text or terse(name) in text for name in names_of(item)), (text, item)
            assert (WORN[item.accessory] if item.accessory else "") in text, (text, item)
        if scene.arrangement is Arrangement.SINGLE:
            assert not re.search(r"on the (left|right)", text), text


def test_a_short_prompt_names_its_style_and_the_mood_of_a_place_that_it_names(training_scenes: list[Scene]) -> None:
    rng = Random(6)
    for scene in training_scenes[:5000]:
        text, place = short_prompt(scene, rng), BACKGROUNDS[scene.background]
        assert styles_named(text) == {scene.style} - {Style.FLAT}, text
        known = (*place.where, *place.what)
        phrases = "|".join(map(re.escape, (*known, *map(terse, known))))
        # Its article may be left out.
        is_placed = any(re.search(rf"\b({phrases})\b(?! lounger)", start + text) for start in ("", "a ", "an ", "the "))
        assert is_placed or not (place.is_plain or scene.arrangement is Arrangement.EMPTY), text
        if is_placed and scene.mood:
            moods = place.moods[scene.mood]
            assert any(phrase in text or terse(phrase) in text for phrase in moods), (text, scene)
