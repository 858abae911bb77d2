"""What is in a picture and which pairs training never sees. Knows nothing of pixels or of chance."""

import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from danqing.training.scenes.grid import Box, Grid

Split = Literal["train", "held_out"]

HELD_OUT_ONE_IN = 10
# The example that the API's documentation draws.
ALWAYS_TRAINED = (("T-Rex", "beach"),)


class Style(StrEnum):
    """How the whole picture is drawn."""

    FLAT = "flat"
    PENCIL = "pencil"
    WATERCOLOUR = "watercolour"
    NEON = "neon"
    PIXEL = "pixel"


class Arrangement(StrEnum):
    """How the things stand to each other."""

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
    """Say whether no training picture shows this pair: a noun with a place, a colour or an accessory."""
    if (first, second) in ALWAYS_TRAINED:
        return False
    return zlib.crc32(f"{first}|{second}".encode()) % HELD_OUT_ONE_IN == 0
