"""Sheets: every picture in its cell, row by row."""

import numpy as np

from danqing.training.evaluation.sheet import MARGIN_PX, sheet


def test_pictures_fill_rows_from_the_left() -> None:
    pictures = [("words", np.full((12, 20, 3), 40 * k, np.uint8)) for k in range(5)]
    page = np.asarray(sheet(pictures, num_columns=2, width_px=100, height_px=60, num_lines=1))
    step_x, step_y = 100 + MARGIN_PX, (page.shape[0] - MARGIN_PX) // 3
    for k in range(5):
        y, x = MARGIN_PX + k // 2 * step_y + 30, MARGIN_PX + k % 2 * step_x + 50
        assert (page[y, x] == 40 * k).all()
    assert (page[MARGIN_PX + 2 * step_y + 30, MARGIN_PX + step_x + 50] == 255).all()


def test_words_stand_below_their_picture() -> None:
    page = np.asarray(sheet([("A dog.", np.zeros((6, 10, 3), np.uint8))], num_columns=1, width_px=200, height_px=120))
    below = page[MARGIN_PX + 120 :]
    assert (below < 128).any()
