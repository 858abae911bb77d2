"""The renderer: a scene becomes pixels, at any number of pixels per cell.

The place is painted first, then the things, then the sign; the style is applied to the whole. Every style is a linear
map of small neighbourhoods of pixels, so a network learns it once for all things and places.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from mini.world.canvas import Canvas
from mini.world.colours import COLOURS
from mini.world.light import tint_of, weather
from mini.world.painters_nature import (
    paint_beach,
    paint_desert,
    paint_forest,
    paint_lake,
    paint_meadow,
    paint_mountains,
    paint_snow,
)
from mini.world.painters_town import paint_city, paint_farm, paint_garden, paint_road, paint_room, paint_street
from mini.world.painters_wonders import paint_space, paint_sunset, paint_underwater
from mini.world.places import BACKGROUNDS
from mini.world.scene import Arrangement, Scene, SceneObject, Style
from mini.world.signs import paint_sign
from mini.world.sprites import sprite

MAX_CELL_PX = 256
NUM_CACHED_THINGS = 3072
SHADOW_OPACITY = 90
# Room between a thing and the edge of its box, in cells: feet stand a little higher, for their shadow.
MARGIN, FOOT_ROOM = 0.05, 0.12

# The moods of all places at two sizes; a picture of 1024 x 1024 takes 3.1 MB.
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

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
PAPER = np.array([250, 247, 240], np.float32)
NEON_NIGHT = np.array([26, 10, 58], np.float32)
STYLE_PIXELS_PER_CELL = 8


def render(scene: Scene, cell_px: int) -> NDArray[np.uint8]:
    """Return the picture as [rows * cell_px, columns * cell_px, 3]."""
    if not 8 <= cell_px <= MAX_CELL_PX:
        raise ValueError(f"cell_px must lie between 8 and {MAX_CELL_PX}, got {cell_px}")
    image = landscape(
        scene.background,
        mood=scene.mood,
        width_px=scene.grid.columns * cell_px,
        height_px=scene.grid.rows * cell_px,
    ).copy()
    has_ground = BACKGROUNDS[scene.background].has_ground
    for item in scene.objects:
        _set(image, item, cell_px, stands=has_ground and not item.in_air)
    if scene.arrangement is Arrangement.SIGN:
        paint_sign(image, scene.word, scene.grid, cell_px, on_posts=has_ground)
    return np.asarray(in_style(image, scene.style, cell_px))


def _set(image: Image.Image, item: SceneObject, cell_px: int, *, stands: bool) -> None:
    side = item.box.num_cells * cell_px
    room = side - round((MARGIN + FOOT_ROOM) * cell_px)
    thing = _scaled(item.noun, item.colour, item.accessory, item.on_lounger, room)
    left = item.box.left * cell_px + (side - thing.width) // 2
    spare = side - thing.height
    top = item.box.top * cell_px + (spare - round(FOOT_ROOM * cell_px) if stands else spare // 2)
    if stands:
        width, height = max(1, round(thing.width * 0.96)), max(1, round(thing.width * 0.12))
        mask = _shadow().resize((width, height), Image.Resampling.BILINEAR)
        spot = (left + (thing.width - width) // 2, top + thing.height - round(height * 0.62))
        image.paste((18, 20, 40), spot, mask)
    image.paste(thing, (left, top), thing)


@lru_cache(maxsize=NUM_CACHED_THINGS)
def _scaled(noun: str, colour: str | None, accessory: str | None, on_lounger: bool, longest_px: int) -> Image.Image:
    thing = sprite(noun, colour=colour, accessory=accessory, on_lounger=on_lounger)
    scale = longest_px / max(thing.size)
    size = max(1, round(thing.width * scale)), max(1, round(thing.height * scale))
    return thing.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)


@lru_cache(maxsize=1)
def _shadow() -> Image.Image:
    mask = Image.new("L", (256, 64))
    ImageDraw.Draw(mask).ellipse((20, 10, 236, 54), fill=SHADOW_OPACITY)
    return mask.filter(ImageFilter.GaussianBlur(6))


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


def in_style(image: Image.Image, style: Style, cell_px: int) -> Image.Image:
    """The same picture in this style."""
    if style is Style.FLAT:
        return image
    if style is Style.PIXEL:
        small = image.reduce(max(1, cell_px // STYLE_PIXELS_PER_CELL))
        return small.resize(image.size, Image.Resampling.NEAREST)
    pixels = np.asarray(image, np.float32)
    soft = np.asarray(image.filter(ImageFilter.GaussianBlur(cell_px / 24)), np.float32)
    drawn = {Style.PENCIL: _pencil, Style.WATERCOLOUR: _watercolour, Style.NEON: _neon}[style](pixels, soft)
    return Image.fromarray(np.clip(drawn, 0, 255).astype(np.uint8))


def _pencil(pixels: NDArray[np.float32], soft: NDArray[np.float32]) -> NDArray[np.floating]:
    """Grey on paper, edges dark."""
    grey = pixels @ LUMA
    edges = grey - soft @ LUMA
    return PAPER * (0.42 + 0.58 * (grey / 255))[..., None] + 1.8 * edges[..., None]


def _watercolour(pixels: NDArray[np.float32], soft: NDArray[np.float32]) -> NDArray[np.floating]:
    """Pale and soft, with a rim where colours meet."""
    return 0.45 * PAPER + 0.6 * soft + 0.5 * (soft - pixels)


def _neon(pixels: NDArray[np.float32], soft: NDArray[np.float32]) -> NDArray[np.floating]:
    """Night colours, edges alight."""
    return NEON_NIGHT + 0.30 * pixels[..., [2, 0, 1]] + 4.0 * (pixels - soft)
