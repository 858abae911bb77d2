"""The words of signs: in capitals, short enough for a board, a fifth of them never shown in training."""

import re
from random import Random

from danqing.training.scenes.words import (
    HELD_OUT_WORDS,
    MAX_LETTERS,
    TRAINED_WORDS,
    WORDS,
    draw_word,
    is_held_out_word,
)


def test_words_are_capitals_that_fit_on_a_board_and_none_repeats() -> None:
    assert all(re.fullmatch(f"[A-Z]{{2,{MAX_LETTERS}}}", word) for word in WORDS)
    assert len(set(WORDS)) == len(WORDS)


def test_about_a_fifth_of_the_words_is_held_out() -> None:
    assert set(TRAINED_WORDS) | set(HELD_OUT_WORDS) == set(WORDS)
    assert not set(TRAINED_WORDS) & set(HELD_OUT_WORDS)
    assert 0.1 < len(HELD_OUT_WORDS) / len(WORDS) < 0.3


def test_every_letter_of_a_held_out_word_is_learned_from_others() -> None:
    assert set("".join(HELD_OUT_WORDS)) <= set("".join(TRAINED_WORDS))


def test_words_are_drawn_in_every_length_that_fits_and_never_held_out() -> None:
    rng = Random(7)
    for longest in (3, 5, 8):
        words = [draw_word(rng, longest=longest) for _ in range(1000)]
        assert {len(word) for word in words} == set(range(2, longest + 1))
        assert not any(map(is_held_out_word, words))
        assert all(re.fullmatch("[A-Z]+", word) for word in words)


def test_words_that_nobody_knows_hold_every_letter() -> None:
    rng = Random(8)
    unknown = [word for word in (draw_word(rng, longest=8) for _ in range(2000)) if word not in TRAINED_WORDS]
    assert 0.35 < len(unknown) / 2000 < 0.55
    assert len(set("".join(unknown))) == 26
