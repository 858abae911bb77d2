"""Flat-illustration brushes: gradients, discs, hills, clouds, trees.

Positions are fractions of the width and height, y downwards. Sizes are fractions of the shorter side, so that round
things stay round at every aspect ratio. A canvas paints at twice the size and reduces the result, which smooths edges.

A canvas has one tint: the light that falls on everything painted. Places are painted in the colours of day.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageDraw

from mini.world.colours import RGB

Ink = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]
Tint = Callable[[RGB], RGB]

OVERSAMPLING = 2


class Canvas:
    """One picture being painted."""

    def __init__(self, width_px: int, height_px: int, tint: Tint | None = None) -> None:
        self._tint = tint
        self._size_px = (width_px, height_px)
        self._width = width_px * OVERSAMPLING
        self._height = height_px * OVERSAMPLING
        self.unit = min(self._width, self._height)
        self.x_per_unit = self.unit / self._width
        self.y_per_unit = self.unit / self._height
        self._image = Image.new("RGB", (self._width, self._height))
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def finish(self) -> Image.Image:
        return self._image.resize(self._size_px, Image.Resampling.BOX)

    @contextmanager
    def untinted(self) -> Iterator[None]:
        """Paint without the tint: the sky or a lamp shines by itself and keeps its colours."""
        tint, self._tint = self._tint, None
        yield
        self._tint = tint

    def _lit(self, ink: Ink) -> Ink:
        if self._tint is None:
            return ink
        red, green, blue = self._tint((ink[0], ink[1], ink[2]))
        return (red, green, blue, ink[3]) if len(ink) == 4 else (red, green, blue)

    def gradient(self, *colours: RGB, top: float = 0.0, bottom: float = 1.0) -> None:
        """Fill the band from `top` to `bottom` with colours blended downwards."""
        first, last = round(top * self._height), round(bottom * self._height)
        stops = np.linspace(0.0, 1.0, len(colours))
        lit = [self._lit(colour) for colour in colours]
        rows = np.linspace(0.0, 1.0, max(1, last - first))
        column = np.stack([np.interp(rows, stops, [c[k] for c in lit]) for k in range(3)], axis=-1)
        strip = Image.fromarray(np.round(column).astype(np.uint8)[:, None, :])
        self._image.paste(strip.resize((self._width, max(1, last - first))), (0, first))

    def veil(self, colour: RGB, *stops: tuple[float, float]) -> None:
        """Lay a colour over everything, as thick at each height as the (height, opacity) stops say."""
        rows = np.linspace(0.0, 1.0, self._height)
        opacity = np.interp(rows, [y for y, _ in stops], [255 * share for _, share in stops])
        mask = Image.fromarray(np.round(opacity).astype(np.uint8)[:, None]).resize(self._image.size)
        self._image.paste(colour, (0, 0), mask)

    def polygon(self, points: Iterable[Point], ink: Ink) -> None:
        self._draw.polygon([(x * self._width, y * self._height) for x, y in points], fill=self._lit(ink))

    def rectangle(self, left: float, top: float, right: float, bottom: float, ink: Ink, *, corner: float = 0.0) -> None:
        box = (left * self._width, top * self._height, right * self._width, bottom * self._height)
        self._draw.rounded_rectangle(box, radius=corner * self.unit, fill=self._lit(ink))

    def oval(self, x: float, y: float, across: float, down: float, ink: Ink) -> None:
        """An ellipse by its centre and its two radii, both in units."""
        cx, cy, rx, ry = x * self._width, y * self._height, across * self.unit, down * self.unit
        self._draw.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=self._lit(ink))

    def disc(self, x: float, y: float, radius: float, ink: Ink) -> None:
        self.oval(x, y, radius, radius, ink)

    def glow(self, x: float, y: float, radius: float, ink: RGB) -> None:
        """A sun or moon with three rings of fading light."""
        for scale, alpha in ((2.6, 30), (1.9, 45), (1.4, 70)):
            self.disc(x, y, radius * scale, (*ink, alpha))
        self.disc(x, y, radius, ink)

    def line(self, points: Iterable[Point], ink: Ink, *, thickness: float) -> None:
        path = [(x * self._width, y * self._height) for x, y in points]
        self._draw.line(path, fill=self._lit(ink), width=max(1, round(thickness * self.unit)), joint="curve")

    def hills(self, y: float, ink: Ink, *, rise: float, waves: float, phase: float = 0.0) -> None:
        """Rolling ground from a wavy line at `y` down to the bottom edge."""
        edge = [(x, y - rise * math.sin(2 * math.pi * (waves * x + phase))) for x in np.linspace(0.0, 1.0, 65)]
        self.polygon([*edge, (1.0, 1.0), (0.0, 1.0)], ink)

    def cloud(self, x: float, y: float, size: float, ink: Ink) -> None:
        for dx, dy, radius in ((-0.5, 0.05, 0.26), (-0.15, -0.10, 0.36), (0.25, -0.02, 0.30), (0.55, 0.08, 0.22)):
            self.disc(x + dx * size * self.x_per_unit, y + dy * size * self.y_per_unit, radius * size, ink)
        half = 0.72 * size * self.x_per_unit
        self.rectangle(
            x - half,
            y + 0.02 * size * self.y_per_unit,
            x + half,
            y + 0.31 * size * self.y_per_unit,
            ink,
            corner=0.14 * size,
        )

    def fir(self, x: float, y: float, size: float, ink: Ink, *, snow: Ink | None = None) -> None:
        """A fir of three tiers standing at (x, y); `snow` whitens the tips."""
        dx, dy = size * self.x_per_unit, size * self.y_per_unit
        self.rectangle(x - 0.05 * dx, y - 0.2 * dy, x + 0.05 * dx, y, (98, 66, 44))
        for base, tip, half in ((0.12, 0.58, 0.32), (0.36, 0.80, 0.25), (0.60, 1.0, 0.18)):
            self.polygon([(x - half * dx, y - base * dy), (x, y - tip * dy), (x + half * dx, y - base * dy)], ink)
            if snow:
                cap = base + 0.6 * (tip - base)
                self.polygon(
                    [(x - 0.4 * half * dx, y - cap * dy), (x, y - tip * dy), (x + 0.4 * half * dx, y - cap * dy)], snow
                )

    def leafy_tree(self, x: float, y: float, size: float, ink: Ink, *, trunk: Ink) -> None:
        dx, dy = size * self.x_per_unit, size * self.y_per_unit
        self.rectangle(x - 0.05 * dx, y - 0.5 * dy, x + 0.05 * dx, y, trunk)
        for ox, oy, radius in ((-0.2, 0.52, 0.2), (0.2, 0.52, 0.2), (0.0, 0.72, 0.27), (0.0, 0.5, 0.2)):
            self.disc(x + ox * dx, y - oy * dy, radius * size, ink)

    def palm(self, x: float, y: float, size: float, leaf: Ink, trunk: Ink, *, lean: float = 0.18) -> None:
        """A palm with a bent trunk, standing at (x, y)."""
        dx, dy = size * self.x_per_unit, size * self.y_per_unit
        bend = [(x + lean * t * t * dx, y - 0.8 * t * dy) for t in np.linspace(0.0, 1.0, 12)]
        left = [(px - (0.045 - 0.02 * i / 11) * dx, py) for i, (px, py) in enumerate(bend)]
        right = [(px + (0.045 - 0.02 * i / 11) * dx, py) for i, (px, py) in enumerate(bend)]
        self.polygon([*left, *reversed(right)], trunk)
        top_x, top_y = bend[-1]
        for degrees, length in (
            (-165, 0.40),
            (-128, 0.34),
            (-90, 0.26),
            (-52, 0.34),
            (-15, 0.40),
            (22, 0.34),
            (158, 0.34),
        ):
            angle = math.radians(degrees)
            upper, lower = [], []
            for t in np.linspace(0.0, 1.0, 9):
                # Fronds fall under their weight and taper to both ends.
                fx = t * length * math.cos(angle)
                fy = t * length * math.sin(angle) * 0.8 + 0.26 * t * t
                half = 0.055 * math.sin(math.pi * min(1.0, 0.12 + 0.88 * t)) + 0.004
                upper.append(
                    (
                        top_x + (fx + half * math.sin(angle)) * dx,
                        top_y + (fy - half * abs(math.cos(angle)) - 0.3 * half) * dy,
                    )
                )
                lower.append(
                    (top_x + (fx - half * math.sin(angle)) * dx, top_y + (fy + half * abs(math.cos(angle))) * dy)
                )
            self.polygon([*upper, *reversed(lower)], leaf)

    def dots(self, points: Iterable[Point], ink: Ink, *, radius: float) -> None:
        for x, y in points:
            self.disc(x, y, radius, ink)
