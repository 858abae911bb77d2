"""Scenes put together by hand: on a beach of ten by six cells unless said otherwise."""

from typing import Any

from mini.world.scene import BIG, Arrangement, Box, Grid, Scene, SceneObject

WIDE = Grid(10, 6)


def thing(noun: str, *, left: int = 2, num_cells: int = BIG, **changes: Any) -> SceneObject:
    """One thing on the ground of a wide picture; `changes` are its other fields."""
    return SceneObject(noun=noun, box=Box(left, WIDE.rows - num_cells, num_cells), **changes)


def scene_of(*objects: SceneObject, arrangement: Arrangement = Arrangement.SINGLE, **changes: Any) -> Scene:
    """A scene of these things; `changes` are its other fields."""
    values = {"grid": WIDE, "background": "beach", "mood": 0, **changes}
    return Scene(arrangement=arrangement, objects=objects, **values)
