"""Hours and weather: the sky of a mood, its tint on everything below, and rain, snow or fog in the air.

All positions are fixed, so a place in a mood always gives the same picture.
"""

import math
import random

from mini.world.canvas import Canvas, Point, Tint
from mini.world.colours import RGB

WHITE = (255, 255, 255)
STARLIGHT = (255, 248, 214)
LAMPLIGHT = (255, 218, 120)

# How much colour is lost, how much of each primary is left, and what is mixed in by how much.
_TINTS: dict[str, tuple[float, tuple[float, float, float], RGB, float]] = {
    "evening": (0.06, (0.98, 0.80, 0.70), (238, 128, 96), 0.17),
    "dawn": (0.15, (1.04, 0.94, 0.96), (255, 208, 204), 0.20),
    "night": (0.30, (0.40, 0.48, 0.68), (26, 36, 92), 0.16),
    "rain": (0.42, (0.70, 0.77, 0.84), (96, 112, 132), 0.12),
    "snowfall": (0.30, (1.0, 1.0, 1.0), (238, 243, 250), 0.56),
    "fog": (0.30, (1.0, 1.0, 1.0), (222, 228, 230), 0.16),
}


def tint_of(mood: str) -> Tint | None:
    """Return the map from a colour of day to its colour in this mood; None if they are equal."""
    if mood not in _TINTS:
        return None
    loss, left, mixed, share = _TINTS[mood]

    def tint(colour: RGB) -> RGB:
        grey = 0.30 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]
        red, green, blue = (
            round(min(255.0, (1 - share) * left[k] * ((1 - loss) * colour[k] + loss * grey) + share * mixed[k]))
            for k in range(3)
        )
        return red, green, blue

    return tint


def scatter(num: int, *, seed: int, top: float, bottom: float) -> list[Point]:
    rng = random.Random(seed)
    return [(rng.random(), rng.uniform(top, bottom)) for _ in range(num)]


def stars(canvas: Canvas, *, bottom: float, num: int = 36) -> None:
    points = scatter(num, seed=7, top=0.0, bottom=bottom)
    canvas.dots(points[: num // 2], (*STARLIGHT, 235), radius=0.0055)
    canvas.dots(points[num // 2 :], (*STARLIGHT, 160), radius=0.004)


def sky(canvas: Canvas, mood: str, *, horizon: float) -> None:
    """Paint the sky down to the horizon. A mood without a sky of its own has that of day."""
    with canvas.untinted():
        if mood == "evening":
            canvas.gradient((116, 92, 172), (244, 136, 120), (255, 204, 128), bottom=horizon)
            canvas.glow(0.76, 0.30, 0.085, (255, 232, 150))
            canvas.cloud(0.22, 0.14, 0.16, (246, 176, 160))
        elif mood == "dawn":
            canvas.gradient((150, 190, 232), (252, 206, 206), (255, 234, 200), bottom=horizon)
            canvas.cloud(0.76, 0.13, 0.15, (255, 232, 226))
        elif mood == "night":
            canvas.gradient((14, 20, 56), (44, 62, 116), bottom=horizon)
            stars(canvas, bottom=0.8 * horizon)
            canvas.glow(0.82, 0.16, 0.065, (246, 242, 214))
        elif mood == "rain":
            canvas.gradient((104, 118, 138), (172, 184, 196), bottom=horizon)
            for x, y, size, ink in (
                (0.14, 0.07, 0.24, (86, 98, 118)),
                (0.86, 0.08, 0.26, (86, 98, 118)),
                (0.50, 0.05, 0.26, (94, 107, 127)),
            ):
                canvas.cloud(x, y, size, ink)
        elif mood == "snowfall":
            canvas.gradient((158, 178, 206), (220, 230, 241), bottom=horizon)
            canvas.cloud(0.20, 0.11, 0.20, (190, 204, 224))
            canvas.cloud(0.78, 0.15, 0.18, (196, 210, 228))
        elif mood == "fog":
            canvas.gradient((196, 208, 214), (226, 232, 232), bottom=horizon)
        elif mood == "sandstorm":
            canvas.gradient((206, 158, 96), (238, 202, 148), bottom=horizon)
        else:
            canvas.gradient((84, 178, 240), (196, 232, 252), bottom=horizon)
            canvas.glow(0.83, 0.16, 0.075, (255, 224, 96))
            canvas.cloud(0.20, 0.15, 0.17, WHITE)
            canvas.cloud(0.56, 0.22, 0.12, (238, 247, 253))


def weather(canvas: Canvas, mood: str) -> None:
    """Paint rain, snow, fog or sand over the finished place."""
    with canvas.untinted():
        if mood == "rain":
            for x, y in _lattice(canvas, spacing=0.15, seed=61):
                slant = [(x, y), (x - 0.030 * canvas.x_per_unit, y + 0.085 * canvas.y_per_unit)]
                canvas.line(slant, (226, 238, 252, 190), thickness=0.009)
        elif mood == "snowfall":
            for index, (x, y) in enumerate(_lattice(canvas, spacing=0.14, seed=62)):
                canvas.disc(x, y, (0.016, 0.011)[index % 2], (*WHITE, 245))
        elif mood == "fog":
            canvas.veil((228, 233, 234), (0.0, 0.45), (0.50, 0.58), (0.74, 0.36), (1.0, 0.10))
        elif mood == "sandstorm":
            canvas.veil((222, 170, 98), (0.0, 0.78), (0.50, 0.74), (0.74, 0.45), (1.0, 0.15))
            for x, y in _lattice(canvas, spacing=0.24, seed=63):
                streak = [(x, y), (x + 0.15 * canvas.x_per_unit, y - 0.02 * canvas.y_per_unit)]
                canvas.line(streak, (248, 214, 150, 130), thickness=0.014)


def _lattice(canvas: Canvas, *, spacing: float, seed: int) -> list[Point]:
    """Points all over the picture, about `spacing` units apart, each a little off its row."""
    rng = random.Random(seed)
    columns, rows = math.ceil(1 / (spacing * canvas.x_per_unit)), math.ceil(1 / (spacing * canvas.y_per_unit))
    return [
        ((i + 0.5 * (j % 2) + rng.uniform(0.0, 0.5)) / columns, (j + rng.uniform(0.0, 0.5)) / rows)
        for j in range(rows)
        for i in range(columns)
    ]
