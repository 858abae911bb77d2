"""Signs: every letter whole and alone in its own cell, on a board in the middle."""

import re
from random import Random
from string import ascii_uppercase

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mini.train.recipe import GRID_SHARES
from mini.world.scene import Grid
from mini.world.signs import (
    HELD_OUT_WORDS,
    INK,
    MAX_LETTERS,
    TRAINED_WORDS,
    WORDS,
    is_held_out_word,
    paint_sign,
    sample_word,
    sign_left,
    sign_row,
)

CELL_PX = 32
SKY = (120, 180, 240)
GRID = Grid(10, 6)


def painted(word: str, *, grid: Grid = GRID, on_posts: bool = True) -> NDArray[np.uint8]:
    image = Image.new("RGB", (grid.columns * CELL_PX, grid.rows * CELL_PX), SKY)
    paint_sign(image, word, grid, CELL_PX, on_posts=on_posts)
    return np.array(image)


def cell(picture: NDArray[np.uint8], word: str, index: int) -> NDArray[np.uint8]:
    top, left = sign_row(GRID) * CELL_PX, (sign_left(GRID, word) + index) * CELL_PX
    return picture[top : top + CELL_PX, left : left + CELL_PX]


@pytest.mark.parametrize("letter", ascii_uppercase)
def test_a_letter_is_whole_within_its_cell(letter: str) -> None:
    inked = np.abs(cell(painted(letter), letter, 0).astype(int) - INK).sum(-1) < 60
    assert inked.sum() > 0.04 * CELL_PX**2
    rim = np.concatenate([inked[0], inked[-1], inked[:, 0], inked[:, -1]])
    assert not rim.any()


def test_a_letter_looks_alike_wherever_it_stands() -> None:
    picture = painted("HELLO")
    assert np.array_equal(cell(picture, "HELLO", 2), cell(picture, "HELLO", 3))
    assert np.array_equal(cell(picture, "HELLO", 1), cell(painted("RED"), "RED", 1))
    assert not np.array_equal(cell(picture, "HELLO", 1), cell(picture, "HELLO", 2))


def test_posts_stand_below_the_board_where_there_is_ground() -> None:
    below = (sign_row(GRID) + 2) * CELL_PX
    assert (painted("OPEN")[below] != SKY).any()
    assert (painted("OPEN", on_posts=False)[below] == SKY).all()


@pytest.mark.parametrize("grid", GRID_SHARES)
def test_the_longest_word_fits_into_the_middle_of_every_grid_that_gets_one(grid: Grid) -> None:
    word = "BIRTHDAY"[: min(MAX_LETTERS, grid.columns - 1)]
    left, spare = sign_left(grid, word), grid.columns - len(word)
    assert 0 <= left <= spare
    assert abs(left - (spare - left)) <= 1
    assert 0 <= sign_row(grid) < grid.rows
    assert (painted(word, grid=grid) != SKY).any()


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
        words = [sample_word(rng, longest=longest) for _ in range(1000)]
        assert {len(word) for word in words} == set(range(2, longest + 1))
        assert not any(map(is_held_out_word, words))
        assert all(re.fullmatch("[A-Z]+", word) for word in words)


def test_words_that_nobody_knows_hold_every_letter() -> None:
    rng = Random(8)
    unknown = [word for word in (sample_word(rng, longest=8) for _ in range(2000)) if word not in TRAINED_WORDS]
    assert 0.35 < len(unknown) / 2000 < 0.55
    assert len(set("".join(unknown))) == 26
