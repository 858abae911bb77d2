"""Counting what negative prompts remove, with painters that obey, that refuse, and that have nothing to show."""

from collections.abc import Sequence

from mini.judge.detector import Detection
from mini.judge.negative_prompts import (
    ASKED_KINDS,
    OpenPrompt,
    Removal,
    See,
    measure_removal,
    open_prompts,
)
from mini.world.vocabulary import KINDS

PROMPTS = [OpenPrompt("animal", "beach"), OpenPrompt("fruit", "room"), OpenPrompt("building", "mountains")]
# What each prompt brings at first and what may stand there instead.
FIRST = {"animal": ("dog", "fox"), "fruit": ("apple", "lemon"), "building": ("house", "castle")}


def seen(*nouns: str) -> list[Detection]:
    return [Detection(noun=noun, colour="own", x=0.5, y=0.5, score=0.9) for noun in nouns]


def measured(see: See) -> tuple[Removal, int, int, int]:
    removal = measure_removal(PROMPTS, see)
    return removal, len(removal.attempts), removal.num_removed, removal.num_replaced


def kind_in(prompt: str) -> str:
    return next(kind for kind in FIRST if kind in prompt.lower())


def test_an_obedient_painter_shows_another_thing_of_the_kind() -> None:
    def see(prompt: str, negative: str) -> Sequence[Detection]:
        return seen("umbrella", next(noun for noun in FIRST[kind_in(prompt)] if noun != negative))

    removal, *counts = measured(see)
    assert counts == [3, 3, 3]
    assert [attempt.unwanted for attempt in removal.attempts] == ["dog", "apple", "house"]
    assert [attempt.seen for attempt in removal.attempts] == [("fox",), ("lemon",), ("castle",)]


def test_a_painter_that_leaves_the_place_empty_removes_and_does_not_replace() -> None:
    _, *counts = measured(lambda prompt, negative: seen() if negative else seen(FIRST[kind_in(prompt)][0]))
    assert counts == [3, 3, 0]


def test_a_stubborn_painter_removes_nothing_though_it_adds_another() -> None:
    _, *counts = measured(lambda prompt, negative: seen(*FIRST[kind_in(prompt)][: 2 if negative else 1]))
    assert counts == [3, 0, 0]


def test_a_prompt_without_anything_of_its_kind_does_not_count_and_is_drawn_once() -> None:
    negatives: list[str] = []

    def see(_: str, negative: str) -> Sequence[Detection]:
        negatives.append(negative)
        return seen("car", "umbrella")

    removal, *counts = measured(see)
    assert removal.num_prompts == 3
    assert counts == [0, 0, 0]
    assert negatives == ["", "", ""]


def test_there_are_forty_prompts_of_every_kind_alike_and_none_twice() -> None:
    prompts = open_prompts()
    assert len({prompt.text for prompt in prompts}) == len(prompts) == 40
    assert prompts[:5] == open_prompts(5)
    for kind in ASKED_KINDS:
        assert sum(prompt.kind == kind for prompt in prompts) == 5
    assert set(ASKED_KINDS) <= set(KINDS)
    assert prompts[0].text == "An animal on a beach."
    assert "Some food" in " ".join(prompt.text for prompt in prompts)


def test_no_building_is_asked_for_where_the_place_has_some() -> None:
    places = {prompt.place for prompt in open_prompts() if prompt.kind == "building"}
    assert not places & {"city", "farm", "street"}
