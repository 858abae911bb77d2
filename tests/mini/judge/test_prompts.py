"""The evaluation set: held out by rule, the same every time, in plain sentences that name a place."""

from collections import Counter

import pytest

from mini.judge.prompts import (
    NUM_PER_CATEGORY,
    WHERE,
    Category,
    EvaluationPrompt,
    Relation,
    evaluation_prompts,
)
from mini.world.captions import with_article
from mini.world.places import PLACES
from mini.world.scene import is_held_out
from mini.world.vocabulary import COMMON_NOUNS, NOUNS

PROMPTS = evaluation_prompts()
COLOURED = (Category.COLOURS, Category.BINDING)


def of(category: Category) -> list[EvaluationPrompt]:
    return [prompt for prompt in PROMPTS if prompt.category is category]


def test_every_category_has_at_least_sixty_prompts() -> None:
    assert NUM_PER_CATEGORY >= 60
    assert Counter(prompt.category for prompt in PROMPTS) == dict.fromkeys(Category, NUM_PER_CATEGORY)


def test_a_set_of_common_things_is_as_large_and_names_nothing_else() -> None:
    common = evaluation_prompts(among=COMMON_NOUNS)
    assert len({prompt.text for prompt in common}) == len(PROMPTS)
    assert {wanted.noun for prompt in common for wanted in prompt.wanted} <= COMMON_NOUNS


def test_no_prompt_comes_twice() -> None:
    assert len({prompt.text for prompt in PROMPTS}) == len(PROMPTS)


def test_the_set_is_the_same_every_time() -> None:
    assert evaluation_prompts() == PROMPTS


def test_a_short_set_is_the_beginning_of_the_full_one() -> None:
    short = evaluation_prompts(3)
    assert short == [prompt for category in Category for prompt in of(category)[:3]]


def test_every_noun_is_held_out_in_its_place_or_in_its_colour() -> None:
    for prompt in PROMPTS:
        for wanted in prompt.wanted:
            second = wanted.colour if prompt.category in COLOURED else prompt.place
            assert second is not None
            assert is_held_out(wanted.noun, second), prompt.text


def test_every_prompt_names_its_place_and_all_that_must_be_seen() -> None:
    for prompt in PROMPTS:
        assert WHERE[prompt.place] in prompt.text
        for wanted in prompt.wanted:
            noun = NOUNS[wanted.noun]
            assert (noun.plural or noun.name if wanted.count > 1 else noun.name) in prompt.text
            assert (wanted.colour or "") in prompt.text


def test_there_are_words_for_every_place() -> None:
    assert set(WHERE) == set(PLACES)


def test_counts_go_from_two_to_four() -> None:
    assert {prompt.wanted[0].count for prompt in of(Category.COUNTING)} == {2, 3, 4}


def test_two_things_differ_in_noun_and_in_colour() -> None:
    for prompt in PROMPTS:
        if len(prompt.wanted) == 2:
            one, other = prompt.wanted
            assert one.noun != other.noun
            assert prompt.category is not Category.BINDING or one.colour != other.colour


def test_all_four_relations_are_asked_for_and_only_in_the_category_of_positions() -> None:
    assert {prompt.relation for prompt in of(Category.POSITION)} == set(Relation)
    assert all(prompt.relation is None for prompt in PROMPTS if prompt.category is not Category.POSITION)


def test_on_the_ground_only_what_flies_is_above_something() -> None:
    for prompt in of(Category.POSITION):
        if prompt.relation in (Relation.ABOVE, Relation.BELOW) and PLACES[prompt.place].has_ground:
            upper = prompt.wanted[0 if prompt.relation is Relation.ABOVE else 1]
            assert NOUNS[upper.noun].flies, prompt.text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dog", "a dog"),
        ("orange duck", "an orange duck"),
        ("unicorn", "a unicorn"),
        ("UFO", "a UFO"),
        ("Santa Claus", "Santa Claus"),
        ("Statue of Liberty", "the Statue of Liberty"),
    ],
)
def test_articles_are_those_of_spoken_english(words: str, expected: str) -> None:
    assert with_article(words) == expected
