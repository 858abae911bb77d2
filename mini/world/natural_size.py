"""The natural size: the shape of picture that suits a scene. `mini` learns to choose it where a request names no size.

Rows of things and empty places are wide, stacked things are tall, and one thing alone gets a picture of its own shape.
"""

from mini.world.scene import Arrangement, Grid, Scene
from mini.world.sprites import sprite

WIDE, LANDSCAPE, SQUARE, PORTRAIT, TALL = Grid(10, 6), Grid(9, 7), Grid(8, 8), Grid(7, 9), Grid(6, 10)

# A thing is long where its width is this many times its height, and upright where it is the other way round.
LONG = 1.3
# A longer word needs a wide board.
MAX_LETTERS_IN_SQUARE = 5

_GRIDS = {
    Arrangement.EMPTY: WIDE,
    Arrangement.ROW: WIDE,
    Arrangement.BESIDE: LANDSCAPE,
    Arrangement.IN_FRONT: SQUARE,
    Arrangement.ON: PORTRAIT,
    Arrangement.ABOVE: TALL,
}


def natural_grid(scene: Scene) -> Grid:
    """One of the five presets' grids, from what the scene shows; its own grid does not matter."""
    match scene.arrangement:
        case Arrangement.COUNT:
            return LANDSCAPE if len(scene.objects) == 2 else WIDE
        case Arrangement.SIGN:
            return WIDE if len(scene.word) > MAX_LETTERS_IN_SQUARE else SQUARE
        case Arrangement.SINGLE:
            item = scene.objects[0]
            return LANDSCAPE if item.on_lounger else _grid_of_thing(item.noun)
        case _:
            return _GRIDS[scene.arrangement]


def _grid_of_thing(noun: str) -> Grid:
    thing = sprite(noun, colour=None, accessory=None, on_lounger=False)
    if thing.width > LONG * thing.height:
        return LANDSCAPE
    return PORTRAIT if thing.height > LONG * thing.width else SQUARE
