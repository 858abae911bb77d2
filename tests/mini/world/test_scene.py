"""What is held out: always the same tenth of the pairs, never the documented example."""

from itertools import pairwise

import pytest

from mini.train.recipe import GRID_SHARES
from mini.world.colours import COLOURS
from mini.world.places import PLACES
from mini.world.scene import BIG, MEDIUM, SMALL, Box, Grid, is_held_out, slots, widest
from mini.world.vocabulary import ACCESSORIES, EMOJI_NOUNS


@pytest.mark.parametrize("others", [PLACES, COLOURS], ids=["places", "colours"])
def test_about_a_tenth_of_the_pairs_is_held_out(others: dict[str, object]) -> None:
    held_out = [is_held_out(noun.name, other) for noun in EMOJI_NOUNS for other in others]
    assert 0.07 < sum(held_out) / len(held_out) < 0.13


def test_the_documented_example_is_not_held_out() -> None:
    assert not is_held_out("T-Rex", "beach")
    assert not is_held_out("T-Rex", "sunglasses")


def test_a_checkpoint_and_its_judges_hold_out_the_same_pairs() -> None:
    assert [place for place in PLACES if is_held_out("cat", place)] == ["room", "lake"]
    assert [noun.name for noun in EMOJI_NOUNS if noun.crown and is_held_out(noun.name, "crown")] == ["giraffe"]


@pytest.mark.parametrize("place", PLACES)
def test_every_place_holds_out_something_and_not_everything(place: str) -> None:
    held_out = {noun.name for noun in EMOJI_NOUNS if is_held_out(noun.name, place)}
    assert 5 < len(held_out) < len(EMOJI_NOUNS) / 4


def test_whoever_wears_things_may_wear_something_in_training() -> None:
    for noun in EMOJI_NOUNS:
        if noun.crown:
            assert not all(is_held_out(noun.name, accessory) for accessory in ACCESSORIES), noun.name


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
