"""Backdrops of the detector's training pictures: anything but the world's own places.

A judge trained on the world's places could recognise a thing by its surroundings.
"""

from random import Random

import numpy as np
from PIL import Image, ImageDraw

from mini.world.colours import RGB

PLAIN_CHANCE = 0.12
GRAIN_CHANCE = 0.4
GROUND_CHANCE = 0.5
MAX_CLUTTER = 14
# Factors by which a backdrop is drawn smaller and then enlarged: the larger, the softer.
SOFTNESS = (1, 2, 2, 4)


def backdrop(rng: Random, size_px: tuple[int, int]) -> Image.Image:
    """A gradient or a plain colour, with grain, some ground and clutter, mostly; sharp or soft."""
    if rng.random() < PLAIN_CHANCE:
        return Image.new("RGB", size_px, _ink(rng))
    softness = rng.choice(SOFTNESS)
    drawn_px = size_px[0] // softness, size_px[1] // softness
    image = _gradient(rng, drawn_px)
    if rng.random() < GRAIN_CHANCE:
        image = Image.blend(image, _grain(rng, drawn_px), rng.uniform(0.1, 0.5))
    draw = ImageDraw.Draw(image, "RGBA")
    if rng.random() < GROUND_CHANCE:
        _ground(rng, draw, drawn_px)
    for _ in range(rng.randint(0, MAX_CLUTTER)):
        rng.choice((_splinter, _oval, _stroke, _cluster, _specks))(rng, draw, drawn_px)
    return image if softness == 1 else image.resize(size_px, Image.Resampling.BILINEAR)


def _ink(rng: Random) -> RGB:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def _gradient(rng: Random, size_px: tuple[int, int]) -> Image.Image:
    """Four random corners, blended; mostly the same on the left and on the right."""
    corners = np.array([[_ink(rng), _ink(rng)], [_ink(rng), _ink(rng)]], np.uint8)
    if rng.random() < 0.7:
        corners[:, 1] = corners[:, 0]
    return Image.fromarray(corners).resize(size_px, Image.Resampling.BILINEAR)


def _grain(rng: Random, size_px: tuple[int, int]) -> Image.Image:
    """Noise of any coarseness."""
    width, height = (max(2, side // rng.choice((2, 4, 8, 16))) for side in size_px)
    noise = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(noise).resize(size_px, Image.Resampling.BILINEAR)


def _ground(rng: Random, draw: ImageDraw.ImageDraw, size_px: tuple[int, int]) -> None:
    width, height = size_px
    level, roughness = height * rng.uniform(0.5, 0.85), height * rng.choice((0.0, 0.15))
    ridge = [(x * width / 6, level + rng.uniform(-roughness, roughness)) for x in range(7)]
    draw.polygon([*ridge, (width, height), (0, height)], fill=_ink(rng))


def _point(rng: Random, size_px: tuple[int, int]) -> tuple[float, float]:
    return rng.uniform(-0.05, 1.05) * size_px[0], rng.uniform(-0.05, 1.05) * size_px[1]


def _splinter(rng: Random, draw: ImageDraw.ImageDraw, size_px: tuple[int, int]) -> None:
    """Any polygon, hardly ever a regular one: the regular ones are things."""
    x, y = _point(rng, size_px)
    reach = rng.uniform(0.05, 0.5) * size_px[1]
    corners = [(x + rng.uniform(-reach, reach), y + rng.uniform(-reach, reach)) for _ in range(rng.randint(3, 6))]
    draw.polygon(corners, fill=(*_ink(rng), rng.choice((255, 255, 120))))


def _oval(rng: Random, draw: ImageDraw.ImageDraw, size_px: tuple[int, int]) -> None:
    """Never round: a round one is a thing."""
    x, y = _point(rng, size_px)
    long = rng.uniform(0.04, 0.4) * size_px[1]
    short = long * rng.uniform(0.15, 0.6)
    dx, dy = (long, short) if rng.random() < 0.6 else (short, long)
    draw.ellipse((x - dx, y - dy, x + dx, y + dy), fill=(*_ink(rng), rng.choice((255, 255, 120))))


def _stroke(rng: Random, draw: ImageDraw.ImageDraw, size_px: tuple[int, int]) -> None:
    points = [_point(rng, size_px) for _ in range(rng.randint(2, 3))]
    draw.line(points, fill=_ink(rng), width=rng.randint(1, max(1, size_px[1] // 14)))


def _cluster(rng: Random, draw: ImageDraw.ImageDraw, size_px: tuple[int, int]) -> None:
    """Discs that run into each other: a cloud, a bush, a crown of leaves."""
    x, y = _point(rng, size_px)
    radius, ink = rng.uniform(0.02, 0.12) * size_px[1], _ink(rng)
    for _ in range(rng.randint(3, 7)):
        cx, cy = x + rng.gauss(0, 1.2 * radius), y + rng.gauss(0, 0.6 * radius)
        draw.ellipse((cx - radius, cy - radius, cx + radius, cy + radius), fill=ink)


def _specks(rng: Random, draw: ImageDraw.ImageDraw, size_px: tuple[int, int]) -> None:
    """Many small bars: stars, rain, windows."""
    ink = _ink(rng)
    width, height = (rng.uniform(0.005, 0.045) * size_px[1] for _ in range(2))
    for _ in range(rng.randint(5, 25)):
        x, y = _point(rng, size_px)
        draw.rectangle((x, y, x + width, y + height), fill=ink)
