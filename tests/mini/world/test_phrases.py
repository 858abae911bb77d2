"""Phrases: articles that fit, and quotes that hold a sign's word."""

from random import Random

import pytest

from mini.world.phrases import as_typed, with_article, without_article


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("UFO", "a UFO"),
        ("unicorn", "a unicorn"),
        ("umbrella", "an umbrella"),
        ("orange car", "an orange car"),
        ("animal", "an animal"),
        ("red food", "some red food"),
        ("Statue of Liberty", "the Statue of Liberty"),
        ("Santa Claus", "Santa Claus"),
    ],
)
def test_an_article_fits_the_sound_that_follows_and_can_be_taken_away(name: str, text: str) -> None:
    assert with_article(name) == text
    assert without_article(text) == name


def test_a_word_keeps_its_letters_however_it_is_typed() -> None:
    rng = Random(1)
    assert {as_typed("KIWI", rng) for _ in range(100)} == {"KIWI", "Kiwi", "kiwi"}
