"""The scene: the grid of cells, the things on it, their arrangement and style, and the pairs held out of training.

Everything stands on whole cells in three sizes. What one image token must show of a thing is then one of a few dozen
pictures, which a small network can memorise.
"""

import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

SMALL, MEDIUM, BIG = 2, 3, 5

Split = Literal["train", "held_out"]

HELD_OUT_ONE_IN = 10
# The example that the API's documentation draws.
ALWAYS_TRAINED = (("T-Rex", "beach"),)


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
    """A square of cells, given by its upper left cell; it may reach over the picture's edges."""

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


class Style(StrEnum):
    """The technique of the whole picture."""

    FLAT = "flat"
    PENCIL = "pencil"
    WATERCOLOUR = "watercolour"
    NEON = "neon"
    PIXEL = "pixel"


class Arrangement(StrEnum):
    """The spatial relation of the things."""

    EMPTY = "empty"
    SINGLE = "single"
    BESIDE = "beside"
    ABOVE = "above"
    ON = "on"
    IN_FRONT = "in front"
    ROW = "row"
    COUNT = "count"
    SIGN = "sign"


@dataclass(frozen=True, kw_only=True)
class SceneObject:
    """One thing in its box. `on_lounger`: it lies on a sun lounger; `in_air`: it does not touch the ground."""

    noun: str
    box: Box
    colour: str | None = None
    accessory: str | None = None
    on_lounger: bool = False
    in_air: bool = False


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A place, its mood, the things in it, in drawing order, and how they are arranged.

    BESIDE, ROW: from left to right; ABOVE: upper, lower; ON: support, what stands on it; IN_FRONT: the rear one, the
    front one. `word` is written on a sign.
    """

    grid: Grid
    background: str
    mood: int
    arrangement: Arrangement
    objects: tuple[SceneObject, ...]
    style: Style = Style.FLAT
    word: str = ""


def is_held_out(first: str, second: str) -> bool:
    """Whether training never shows this pair: a noun with a place, a colour or an accessory."""
    if (first, second) in ALWAYS_TRAINED:
        return False
    return zlib.crc32(f"{first}|{second}".encode()) % HELD_OUT_ONE_IN == 0
