"""Slots: side by side, in the middle, nothing over the edge."""

from itertools import pairwise

import pytest

from danqing.training.recipe import GRID_SHARES
from danqing.training.scenes.grid import BIG, MEDIUM, SMALL, Box, Grid, slots, widest


@pytest.mark.parametrize("grid", GRID_SHARES, ids=lambda grid: f"{grid.columns}x{grid.rows}")
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_slots_stand_apart_and_in_the_middle(grid: Grid, count: int) -> None:
    for num_cells in range(1, grid.columns // count + 1):
        lefts = slots(grid, count, num_cells)
        assert len(lefts) == count
        gaps = {right - left - num_cells for left, right in pairwise(lefts)}
        assert len(gaps) <= 1
        assert all(gap >= 0 for gap in gaps)
        margin, other = lefts[0], grid.columns - lefts[-1] - num_cells
        assert margin >= 0
        assert 0 <= other - margin <= 1


@pytest.mark.parametrize(
    ("grid", "count", "size"),
    [
        (Grid(10, 6), 2, BIG),
        (Grid(10, 6), 3, MEDIUM),
        (Grid(10, 6), 4, SMALL),
        (Grid(16, 4), 2, MEDIUM),  # as wide as four big ones, but not as high
        (Grid(4, 16), 2, SMALL),
        (Grid(4, 16), 3, 0),
    ],
)
def test_the_widest_size_is_the_largest_of_three_that_fits(grid: Grid, count: int, size: int) -> None:
    assert widest(grid, count) == size


def test_a_size_is_cut_to_the_shorter_side() -> None:
    assert Grid(16, 4).fitting(BIG) == 4
    assert Grid(10, 6).fitting(BIG) == BIG


def test_a_box_knows_its_middle_and_its_lower_edge() -> None:
    box = Box(left=2, top=1, num_cells=5)
    assert (box.middle, box.bottom) == (4.5, 6)
