"""Signs: every letter whole and alone in its own cell, on a board in the middle."""

from string import ascii_uppercase

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from danqing.training.recipe import GRID_SHARES
from danqing.training.scenes.grid import Grid
from danqing.training.scenes.signs import INK, paint_sign, sign_left, sign_row
from danqing.training.scenes.words import MAX_LETTERS

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
