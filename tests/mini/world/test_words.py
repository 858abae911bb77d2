"""The words that `mini` is trained on."""

import json
from pathlib import Path

from mini.world.noise_words import WORDS
from mini.world.vocabulary import NOUNS
from mini.world.words import words_of, world_words

COMMITTED = Path(__file__).parents[3] / "src" / "danqing" / "checkpoints" / "mini" / "words.json"


def test_the_committed_list_has_every_word_of_nouns_and_captions() -> None:
    committed = set(json.loads(COMMITTED.read_text())["words"])
    for noun in NOUNS.values():
        assert words_of(" ".join((noun.name, noun.plural, *noun.synonyms))) <= committed, noun.name
    assert words_of(" ".join(WORDS)) <= committed
    # Another seed than the list's, so that a word which only few scenes bring would be missed.
    assert set(world_words(num_scenes=1500, seed=1)) <= committed


def test_what_signs_say_is_no_word_of_the_world() -> None:
    committed = set(json.loads(COMMITTED.read_text())["words"])
    assert not committed & {"cafe", "bakery", "stop"}


def test_words_are_whole_and_in_lower_case() -> None:
    assert words_of("A T-Rex, 'the winner's' 4k; snow-capped") == {
        "a", "t-rex", "t", "rex", "the", "winner's", "k", "snow-capped", "snow", "capped"
    }  # fmt: skip
