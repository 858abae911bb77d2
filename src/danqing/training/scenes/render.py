"""A scene becomes pixels. Knows nothing of captions or of how scenes are drawn by lot."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from danqing.training.scenes.backgrounds import BACKGROUNDS
from danqing.training.scenes.landscapes import landscape
from danqing.training.scenes.scene import Scene, SceneObject
from danqing.training.scenes.sprites import sprite

# Smaller pictures are painted at a multiple of their size and averaged down, so that they match the large ones.
MIN_PAINTED_AREA_PX = 400 * 400
MAX_SIDE_PX = 4096
SHADOW_OPACITY = 90


def render(scene: Scene, width_px: int, height_px: int) -> NDArray[np.uint8]:
    """Return the picture as [height, width, 3]. Half the size is exactly the 2 x 2 average of the whole."""
    for name, side_px in (("width_px", width_px), ("height_px", height_px)):
        if not 1 <= side_px <= MAX_SIDE_PX:
            raise ValueError(f"{name} must lie between 1 and {MAX_SIDE_PX}, got {side_px}")
    multiple = 1
    while width_px * height_px * multiple * multiple < MIN_PAINTED_AREA_PX:
        multiple *= 2
    image = _paint(scene, width_px * multiple, height_px * multiple)
    if multiple > 1:
        image = image.reduce(multiple)
    return np.asarray(image)


def _paint(scene: Scene, width_px: int, height_px: int) -> Image.Image:
    place = landscape(scene.background, mood=scene.mood, width_px=width_px, height_px=height_px)
    image = place.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if scene.mirrored else place.copy()
    has_ground = BACKGROUNDS[scene.background].ground is not None
    # What stands lower is nearer and covers what is behind it.
    for item in sorted(scene.objects, key=lambda item: item.y):
        _set(image, item, casts_shadow=has_ground and not item.in_air)
    return image


def _set(image: Image.Image, item: SceneObject, *, casts_shadow: bool) -> None:
    thing = sprite(item.noun, colour=item.colour, accessory=item.accessory, on_lounger=item.on_lounger)
    scale = item.size * min(image.size) / max(thing.size)
    width, height = max(1, round(thing.width * scale)), max(1, round(thing.height * scale))
    scaled = thing.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round(item.x * image.width - width / 2), round(item.y * image.height - height)
    if casts_shadow:
        shadow_width, shadow_height = max(1, round(width * 0.96)), max(1, round(width * 0.15))
        mask = _shadow().resize((shadow_width, shadow_height), Image.Resampling.BILINEAR)
        spot = (left + (width - shadow_width) // 2, top + height - round(shadow_height * 0.62))
        image.paste((18, 20, 40), spot, mask)
    image.paste(scaled, (left, top), scaled)


@lru_cache(maxsize=1)
def _shadow() -> Image.Image:
    mask = Image.new("L", (256, 64))
    ImageDraw.Draw(mask).ellipse((20, 10, 236, 54), fill=SHADOW_OPACITY)
    return mask.filter(ImageFilter.GaussianBlur(6))
