"""Places on the grid of image tokens: which cells a thing covers. Knows nothing of what the thing is.

Everything in the world stands on whole cells in three sizes, so that what a token must show of a thing is one of a few
dozen pictures that a small network can learn by heart.
"""

from dataclasses import dataclass

SMALL, MEDIUM, BIG = 2, 3, 5


@dataclass(frozen=True, order=True)
class Grid:
    """A picture's size in cells."""

    columns: int
    rows: int

    def fitting(self, num_cells: int) -> int:
        """The size itself, or the largest that fits."""
        return min(num_cells, self.columns, self.rows)


@dataclass(frozen=True)
class Box:
    """A square of cells by its upper left one; may reach over the picture's edges."""

    left: int
    top: int
    num_cells: int

    @property
    def middle(self) -> float:
        return self.left + self.num_cells / 2

    @property
    def bottom(self) -> int:
        return self.top + self.num_cells


def slots(grid: Grid, count: int, num_cells: int) -> list[int]:
    """Left edges of `count` boxes side by side, in the middle, with equal gaps."""
    spare = grid.columns - count * num_cells
    gap = spare // count
    start = (spare - gap * (count - 1)) // 2
    return [start + k * (num_cells + gap) for k in range(count)]


def widest(grid: Grid, count: int) -> int:
    """The largest of the three sizes that `count` boxes side by side can have, at least small where that fits."""
    for size in (BIG, MEDIUM, SMALL):
        if size * count <= grid.columns and size <= grid.rows:
            return size
    return 0
