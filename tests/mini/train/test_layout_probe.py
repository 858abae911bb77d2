"""Layout labels: which thing, and which part of it, each cell of a picture shows."""

from random import Random

import pytest
from example_scenes import WIDE, scene_of, thing

from mini.train.layout_probe import INDEX, MAX_CELLS, NAMES, NUM_NAMES, NUM_PARTS, layout_labels, part_index
from mini.train.recipe import GRID_SHARES
from mini.world.layout import sample_scene
from mini.world.scene import BIG, MEDIUM, SMALL, Arrangement, Grid, Scene


def labelled(scene: Scene) -> list[list[tuple[str, int]]]:
    return [[(NAMES[name], part) for name, part in row] for row in layout_labels(scene).tolist()]


def test_every_name_has_an_index_of_its_own() -> None:
    assert len(INDEX) == NUM_NAMES == len(set(NAMES))


def test_every_cell_of_every_size_of_box_has_an_index_of_its_own() -> None:
    parts = [
        part_index(size, row, column)
        for size in range(1, MAX_CELLS + 1)
        for row in range(size)
        for column in range(size)
    ]
    assert parts == list(range(1, NUM_PARTS))


def test_a_thing_is_labelled_in_its_box_and_the_place_around_it() -> None:
    labels = labelled(scene_of(thing("dog", left=7, num_cells=SMALL)))
    assert (len(labels), len(labels[0])) == (WIDE.rows, WIDE.columns)
    for row in range(WIDE.rows):
        for column in range(WIDE.columns):
            inside = row >= 4 and 7 <= column < 9
            expected = ("dog", part_index(SMALL, row - 4, column - 7)) if inside else ("beach", 0)
            assert labels[row][column] == expected


def test_the_front_thing_hides_the_one_behind() -> None:
    pair = thing("castle", left=2, num_cells=BIG), thing("dog", left=5, num_cells=SMALL)
    labels = labelled(scene_of(*pair, arrangement=Arrangement.IN_FRONT))
    assert labels[5][5] == ("dog", part_index(SMALL, 1, 0))
    assert labels[5][4] == ("castle", part_index(BIG, 4, 2))


@pytest.mark.parametrize(("word", "left"), [("OPEN", 3), ("HELLO", 2)])
def test_the_letters_of_a_sign_stand_in_the_middle_one_to_a_cell(word: str, left: int) -> None:
    labels = labelled(scene_of(arrangement=Arrangement.SIGN, word=word))
    assert labels[2][left : left + len(word)] == [(letter, 1) for letter in word]
    assert sum(name != "beach" for row in labels for name, _ in row) == len(word)


@pytest.mark.parametrize("grid", GRID_SHARES, ids=lambda grid: f"{grid.columns}x{grid.rows}")
def test_every_scene_has_labels(grid: Grid) -> None:
    rng = Random(0)
    for _ in range(20):
        labels = layout_labels(sample_scene(rng, grid))
        assert labels.shape == (grid.rows, grid.columns, 2)
        assert labels.min() >= 0
        assert labels[..., 0].max() < NUM_NAMES
        assert labels[..., 1].max() < NUM_PARTS


def test_counted_things_are_labelled_alike() -> None:
    row = [thing("dog", left=3 * k, num_cells=MEDIUM) for k in range(3)]
    labels = labelled(scene_of(*row, arrangement=Arrangement.COUNT))
    assert labels[4][0:3] == labels[4][3:6] == labels[4][6:9]
