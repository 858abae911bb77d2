"""Words of habit: seldom appended, in the text's own language, and naming nothing that the world could draw."""

import re
from random import Random

from mini.world.captions import STYLE_ENDINGS
from mini.world.noise_words import CHANCE, CHINESE_WORDS, MAX_ALONE, WORDS, noise_words, with_noise_words
from mini.world.places import BACKGROUNDS
from mini.world.vocabulary import KINDS, NOUNS

TEXTS = ("A dog.", "a dog", "海滩上有一只狗")


def test_words_are_appended_about_as_often_as_said_and_the_text_stays() -> None:
    rng = Random(3)
    for text in TEXTS:
        made = [with_noise_words(text, rng) for _ in range(5000)]
        assert all(one.startswith(text.removesuffix(".")) for one in made)
        assert 0.8 * CHANCE < sum(one != text for one in made) / len(made) < 1.2 * CHANCE


def test_a_list_alone_holds_only_such_words_each_once() -> None:
    rng, known = Random(4), {*WORDS, *CHINESE_WORDS}
    lists = [re.split(", |，", noise_words(rng)) for _ in range(3000)]
    assert all(set(words) <= known and len(set(words)) == len(words) for words in lists)
    assert {len(words) for words in lists} == set(range(1, MAX_ALONE + 1))
    assert {word for words in lists for word in words} == known


def test_no_such_word_names_a_thing_a_place_a_style_or_a_mood() -> None:
    names = {name.lower() for noun in NOUNS.values() for name in (noun.name, noun.plural, *noun.synonyms) if name}
    names |= {name for kind in KINDS.values() for name in (kind.name, kind.plural)}
    names |= {words for endings in STYLE_ENDINGS.values() for words in endings}
    names |= {phrase for place in BACKGROUNDS.values() for mood in place.moods for phrase in mood}
    for word in WORDS:
        assert not any(re.search(rf"\b{re.escape(name)}\b", word.lower()) for name in names), word
    chinese = [name for noun in NOUNS.values() for name in noun.chinese if len(name) > 1]
    assert not [word for word in CHINESE_WORDS for name in chinese if name in word]


def test_a_text_with_a_full_stop_ends_with_one() -> None:
    rng = Random(5)
    assert all(with_noise_words("A dog.", rng).endswith(".") for _ in range(1000))
