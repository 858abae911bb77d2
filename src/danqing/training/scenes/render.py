"""A scene becomes pixels. Knows nothing of captions or of how scenes are drawn by lot.

A picture can be drawn at any number of pixels per cell; everything scales with it.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from danqing.training.scenes.backgrounds import BACKGROUNDS
from danqing.training.scenes.landscapes import landscape
from danqing.training.scenes.scene import Arrangement, Scene, SceneObject
from danqing.training.scenes.signs import paint_sign
from danqing.training.scenes.sprites import sprite
from danqing.training.scenes.styles import in_style

MAX_CELL_PX = 256
NUM_CACHED_THINGS = 3072
SHADOW_OPACITY = 90
# Room between a thing and the edge of its box, in cells: feet stand a little higher, for their shadow.
MARGIN, FOOT_ROOM = 0.05, 0.12


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
    has_ground = BACKGROUNDS[scene.background].ground is not None
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
