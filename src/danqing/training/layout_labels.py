"""What every cell of a picture shows: the labels of the layout probe. Knows nothing of the network.

While it trains, a probe in the middle of the network must tell for every image token which thing it is part of and
which part. The program that draws the pictures knows this for certain, and to learn it is half of learning to draw.
"""

import string

import torch
from torch import Tensor

from danqing.training.scenes.backgrounds import BACKGROUNDS
from danqing.training.scenes.scene import Arrangement, Scene
from danqing.training.scenes.signs import sign_left, sign_row
from danqing.training.scenes.vocabulary import NOUNS

NAMES = [*BACKGROUNDS, *NOUNS, *string.ascii_uppercase]
INDEX = {name: i for i, name in enumerate(NAMES)}
NUM_NAMES = len(NAMES)
MAX_CELLS = 6
# One index for every cell of every box size: nothing, then 1 x 1, 2 x 2 ...
NUM_PARTS = 1 + sum(size * size for size in range(1, MAX_CELLS + 1))


def part_index(num_cells: int, row: int, column: int) -> int:
    """The place of a cell within a box of this size."""
    return 1 + sum(size * size for size in range(1, num_cells)) + row * num_cells + column


def layout_labels(scene: Scene) -> Tensor:
    """int16 [rows, columns, 2]: the name and the part that each cell shows; where boxes overlap, the front one."""
    grid = scene.grid
    labels = torch.zeros(grid.rows, grid.columns, 2, dtype=torch.int16)
    labels[..., 0] = INDEX[scene.background]
    for item in scene.objects:
        box = item.box
        for row in range(max(0, box.top), min(grid.rows, box.bottom)):
            for column in range(max(0, box.left), min(grid.columns, box.left + box.num_cells)):
                part = part_index(box.num_cells, row - box.top, column - box.left)
                labels[row, column] = torch.tensor([INDEX[item.noun], part])
    if scene.arrangement is Arrangement.SIGN:
        for k, letter in enumerate(scene.word):
            labels[sign_row(grid), sign_left(grid, scene.word) + k] = torch.tensor([INDEX[letter], 1])
    return labels
