"""The words of signs: in capitals, short enough for a board, a fifth of them never shown in training."""

import re

from danqing.training.scenes.words import HELD_OUT_WORDS, MAX_LETTERS, TRAINED_WORDS, WORDS


def test_words_are_capitals_that_fit_on_a_board_and_none_repeats() -> None:
    assert all(re.fullmatch(f"[A-Z]{{2,{MAX_LETTERS}}}", word) for word in WORDS)
    assert len(set(WORDS)) == len(WORDS)


def test_about_a_fifth_of_the_words_is_held_out() -> None:
    assert set(TRAINED_WORDS) | set(HELD_OUT_WORDS) == set(WORDS)
    assert not set(TRAINED_WORDS) & set(HELD_OUT_WORDS)
    assert 0.1 < len(HELD_OUT_WORDS) / len(WORDS) < 0.3


def test_every_letter_of_a_held_out_word_is_learned_from_others() -> None:
    assert set("".join(HELD_OUT_WORDS)) <= set("".join(TRAINED_WORDS))
