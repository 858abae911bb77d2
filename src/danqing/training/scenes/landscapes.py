"""The picture of a place in a mood, empty. Knows nothing of what stands in it."""

from collections.abc import Callable
from functools import lru_cache

from PIL import Image

from danqing.training.scenes.backgrounds import BACKGROUNDS
from danqing.training.scenes.canvas import Canvas
from danqing.training.scenes.colours import COLOURS
from danqing.training.scenes.light import tint_of, weather
from danqing.training.scenes.painters_nature import (
    paint_beach,
    paint_desert,
    paint_forest,
    paint_lake,
    paint_meadow,
    paint_mountains,
    paint_snow,
)
from danqing.training.scenes.painters_town import (
    paint_city,
    paint_farm,
    paint_garden,
    paint_road,
    paint_room,
    paint_street,
)
from danqing.training.scenes.painters_wonders import paint_space, paint_sunset, paint_underwater

# The moods of all places at two sizes; a picture of 512 x 512 takes 0.8 MB.
NUM_CACHED_LANDSCAPES = 240

_PAINTERS: dict[str, Callable[[Canvas, str], None]] = {
    "beach": paint_beach,
    "city": paint_city,
    "meadow": paint_meadow,
    "snow": paint_snow,
    "desert": paint_desert,
    "space": paint_space,
    "underwater": paint_underwater,
    "sunset": paint_sunset,
    "road": paint_road,
    "room": paint_room,
    "forest": paint_forest,
    "mountains": paint_mountains,
    "garden": paint_garden,
    "lake": paint_lake,
    "farm": paint_farm,
    "street": paint_street,
}


@lru_cache(maxsize=NUM_CACHED_LANDSCAPES)
def landscape(background: str, *, mood: int, width_px: int, height_px: int) -> Image.Image:
    """Return the empty place. The image is shared: copy before painting on it."""
    place = BACKGROUNDS[background]
    if place.is_plain:
        return Image.new("RGB", (width_px, height_px), COLOURS[background.removeprefix("plain ")])
    name = place.variants[mood].name
    canvas = Canvas(width_px, height_px, tint_of(name))
    _PAINTERS[background](canvas, name)
    weather(canvas, name)
    return canvas.finish()
