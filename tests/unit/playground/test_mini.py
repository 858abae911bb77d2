"""What the playground says of `mini` and offers to draw agrees with the world that `mini` is trained on."""

import re

from danqing.playground.page import STATIC_FOLDER
from mini.world.places import PLACES
from mini.world.signs import TRAINED_WORDS
from mini.world.vocabulary import NOUNS

TEXT = (STATIC_FOLDER / "mini.js").read_text(encoding="utf-8")
IDEAS = [first or second for first, second in re.findall(r"""^  (?:"(.+)"|'(.+)'),$""", TEXT, re.MULTILINE)]


def names_a_thing(prompt: str) -> bool:
    english = {name for noun in NOUNS.values() for name in (noun.name, noun.plural or f"{noun.name}s")}
    chinese = {name for noun in NOUNS.values() for name in noun.chinese}
    return any(re.search(rf"\b{re.escape(name)}\b", prompt) for name in english) or any(n in prompt for n in chinese)


def names_a_place(prompt: str) -> bool:
    return any(words in prompt for place in PLACES.values() for words in (*place.where, *place.chinese))


def test_every_idea_is_a_thing_or_a_trained_word_in_a_known_place() -> None:
    assert len(IDEAS) == 7
    for idea in IDEAS:
        words = re.findall(r'"(\w+)"', idea)
        assert all(word in TRAINED_WORDS for word in words), idea
        assert words or names_a_thing(idea), idea
        assert names_a_place(idea), idea


def test_the_note_counts_the_world() -> None:
    found = re.search(r"about (\d+) things in (\d+) places", TEXT)
    assert found
    assert abs(int(found[1]) - len(NOUNS)) <= 10
    assert int(found[2]) == len(PLACES)
