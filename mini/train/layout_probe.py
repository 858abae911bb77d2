"""The layout probe and its labels: which thing, and which part of it, each cell of a picture shows.

During training, a probe in the middle of the network must tell this for every image token. The renderer knows the
truth, and learning it is half of learning to draw. The probe is discarded after training.

Letters: B samples, N image tokens, D hidden size, h x w cells.
"""

import string

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mini.world.places import BACKGROUNDS
from mini.world.scene import Arrangement, Scene
from mini.world.signs import sign_left, sign_row
from mini.world.vocabulary import NOUNS

NAMES = [*BACKGROUNDS, *NOUNS, *string.ascii_uppercase]
INDEX = {name: i for i, name in enumerate(NAMES)}
NUM_NAMES = len(NAMES)
MAX_CELLS = 6
# One index for every cell of every box size: nothing, then 1 x 1, 2 x 2 ...
NUM_PARTS = 1 + sum(size * size for size in range(1, MAX_CELLS + 1))


def part_index(num_cells: int, row: int, column: int) -> int:
    """The index of a cell within a box of this size."""
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


class LayoutProbe(nn.Module):
    """Reads from the middle of the network what each image token shows; thrown away after training."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.read = nn.Linear(hidden_size, NUM_NAMES + NUM_PARTS)

    def loss(self, probed_BND: Tensor, labels_Bhw2: Tensor) -> Tensor:
        """Cross entropy of the names, plus that of the parts."""
        names, parts = self.read(probed_BND.float()).split([NUM_NAMES, NUM_PARTS], dim=-1)
        name_BN, part_BN = labels_Bhw2.flatten(1, 2).unbind(-1)
        return F.cross_entropy(names.flatten(0, 1), name_BN.flatten()) + F.cross_entropy(
            parts.flatten(0, 1), part_BN.flatten()
        )
