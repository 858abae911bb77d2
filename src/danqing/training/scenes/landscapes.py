"""The pictures of the places: one painter per place, each with three moods. Knows nothing of what stands in them."""

import math
import random
from collections.abc import Callable
from functools import lru_cache

from PIL import Image

from danqing.training.scenes.backgrounds import BACKGROUNDS
from danqing.training.scenes.canvas import Canvas, Ink, Point
from danqing.training.scenes.colours import COLOURS, RGB

NUM_CACHED_LANDSCAPES = 160

WHITE = (255, 255, 255)
STARLIGHT = (255, 248, 214)


@lru_cache(maxsize=NUM_CACHED_LANDSCAPES)
def landscape(background: str, *, mood: int, width_px: int, height_px: int) -> Image.Image:
    """Return the empty place. The image is shared: copy before painting on it."""
    if BACKGROUNDS[background].is_plain:
        return Image.new("RGB", (width_px, height_px), COLOURS[background.removeprefix("plain ")])
    canvas = Canvas(width_px, height_px)
    _PAINTERS[background](canvas, mood)
    return canvas.finish()


def _scatter(num: int, *, seed: int, top: float, bottom: float) -> list[Point]:
    rng = random.Random(seed)
    return [(rng.random(), rng.uniform(top, bottom)) for _ in range(num)]


def _stars(canvas: Canvas, *, bottom: float, num: int = 50) -> None:
    points = _scatter(num, seed=7, top=0.0, bottom=bottom)
    canvas.dots(points[: num // 2], (*STARLIGHT, 230), radius=0.0045)
    canvas.dots(points[num // 2 :], (*STARLIGHT, 150), radius=0.003)


def _sky(canvas: Canvas, mood: int, *, horizon: float) -> None:
    """The sky of day (0), evening (1) and night (2)."""
    if mood == 0:
        canvas.gradient((84, 178, 240), (196, 232, 252), bottom=horizon)
        canvas.glow(0.82, 0.16, 0.075, (255, 224, 96))
        canvas.cloud(0.22, 0.15, 0.17, WHITE)
        canvas.cloud(0.56, 0.25, 0.12, (238, 247, 253))
    elif mood == 1:
        canvas.gradient((116, 92, 172), (244, 136, 120), (255, 204, 128), bottom=horizon)
        canvas.glow(0.74, 0.30, 0.085, (255, 232, 150))
        canvas.cloud(0.22, 0.14, 0.16, (246, 176, 160))
    else:
        canvas.gradient((14, 20, 56), (44, 62, 116), bottom=horizon)
        _stars(canvas, bottom=horizon)
        canvas.glow(0.80, 0.16, 0.06, (246, 242, 214))


def _pick(mood: int, day: Ink, evening: Ink, night: Ink) -> Ink:
    return (day, evening, night)[mood]


def _beach(canvas: Canvas, mood: int) -> None:
    _sky(canvas, mood, horizon=0.50)
    seas: tuple[tuple[RGB, RGB], ...] = (
        ((24, 128, 200), (92, 208, 216)),
        ((122, 96, 168), (232, 152, 140)),
        ((18, 36, 86), (46, 84, 134)),
    )
    canvas.gradient(*seas[mood], top=0.47, bottom=0.72)
    foam = _pick(mood, (255, 255, 255, 190), (255, 226, 204, 170), (170, 196, 230, 120))
    for x, y, length in ((0.10, 0.53, 0.16), (0.55, 0.51, 0.12), (0.36, 0.57, 0.18), (0.78, 0.56, 0.15)):
        canvas.rectangle(x, y, x + length, y + 0.007, foam, corner=0.004)
    canvas.hills(0.665, foam, rise=0.014, waves=1.5)
    canvas.hills(0.682, _pick(mood, (232, 204, 148), (206, 146, 116), (84, 84, 112)), rise=0.014, waves=1.5)
    canvas.hills(0.705, _pick(mood, (248, 224, 170), (228, 172, 132), (104, 102, 128)), rise=0.014, waves=1.5)
    speckle = _pick(mood, (226, 196, 136), (204, 146, 108), (84, 82, 110))
    canvas.dots(_scatter(36, seed=3, top=0.75, bottom=0.99), speckle, radius=0.005)
    leaf = _pick(mood, (46, 148, 82), (58, 76, 78), (22, 52, 60))
    canvas.palm(0.09, 0.76, 0.60, leaf, _pick(mood, (150, 104, 66), (96, 62, 62), (52, 46, 60)))


def _city(canvas: Canvas, mood: int) -> None:
    skies: tuple[tuple[RGB, RGB], ...] = (
        ((20, 22, 62), (92, 72, 140)),
        ((10, 26, 66), (40, 92, 150)),
        ((44, 10, 70), (196, 52, 140)),
    )
    canvas.gradient(*skies[mood], bottom=0.84)
    _stars(canvas, bottom=0.4)
    if mood == 1:
        canvas.glow(0.78, 0.18, 0.08, (250, 244, 214))
    rng = random.Random(11)
    fronts: tuple[RGB, ...] = ((30, 30, 72), (18, 34, 70), (36, 16, 66))
    backs: tuple[RGB, ...] = ((54, 48, 104), (30, 58, 106), (88, 30, 104))
    windows: tuple[tuple[RGB, ...], ...] = (((255, 214, 110),), ((255, 224, 140),), ((96, 240, 240), (255, 110, 200)))
    for ink, low, high, width in ((backs[mood], 0.30, 0.48, 0.10), (fronts[mood], 0.44, 0.66, 0.125)):
        left = -0.02
        while left < 1.0:
            top = rng.uniform(low, high)
            canvas.rectangle(left, top, left + width * 0.94, 0.84, ink)
            if ink == fronts[mood]:
                _windows(canvas, left, top, width, windows[mood], rng)
            left += width
    canvas.gradient((42, 42, 58), (64, 62, 82), top=0.82, bottom=1.0)
    canvas.rectangle(0.0, 0.815, 1.0, 0.835, (92, 90, 112))


def _windows(canvas: Canvas, left: float, top: float, width: float, inks: tuple[RGB, ...], rng: random.Random) -> None:
    y = top + 0.03
    while y < 0.79:
        for column in range(3):
            if rng.random() < 0.65:
                x = left + width * (0.14 + 0.25 * column)
                canvas.rectangle(x, y, x + width * 0.15, y + 0.024, rng.choice(inks))
        y += 0.05


def _meadow(canvas: Canvas, mood: int) -> None:
    _sky(canvas, 1 if mood == 1 else 0, horizon=0.62)
    evening = mood == 1
    canvas.hills(0.56, (132, 140, 92) if evening else (150, 208, 112), rise=0.05, waves=0.9, phase=0.1)
    canvas.hills(0.62, (104, 122, 76) if evening else (116, 188, 88), rise=0.035, waves=1.1, phase=0.55)
    canvas.hills(0.69, (84, 106, 66) if evening else (92, 172, 74), rise=0.015, waves=0.8, phase=0.2)
    blade = (70, 92, 58) if evening else (72, 150, 62)
    for x, y in _scatter(36, seed=5, top=0.74, bottom=0.99):
        canvas.line([(x, y), (x - 0.008, y - 0.022)], blade, thickness=0.006)
        canvas.line([(x, y), (x + 0.008, y - 0.022)], blade, thickness=0.006)
    if mood == 2:
        for index, (x, y) in enumerate(_scatter(60, seed=9, top=0.68, bottom=0.99)):
            petal = ((255, 255, 255), (255, 214, 70), (240, 96, 130), (176, 116, 226))[index % 4]
            canvas.disc(x, y, 0.013, petal)
            canvas.disc(x, y, 0.005, (250, 170, 40))


def _snow(canvas: Canvas, mood: int) -> None:
    if mood == 1:
        canvas.gradient((168, 188, 212), (222, 232, 242), bottom=0.66)
    else:
        _sky(canvas, mood, horizon=0.66)
    night = mood == 2
    canvas.hills(0.56, (86, 106, 156) if night else (206, 224, 242), rise=0.05, waves=0.8, phase=0.3)
    fir = (34, 62, 84) if night else (58, 122, 104)
    snow = (176, 192, 224) if night else WHITE
    for x, y, size in ((0.06, 0.68, 0.30), (0.18, 0.66, 0.21), (0.80, 0.66, 0.22), (0.93, 0.69, 0.33)):
        canvas.fir(x, y, size, fir, snow=snow)
    canvas.hills(0.67, (124, 144, 190) if night else (228, 238, 249), rise=0.02, waves=1.0, phase=0.6)
    canvas.hills(0.75, (150, 168, 208) if night else (247, 250, 254), rise=0.016, waves=0.7)
    if mood == 1:
        canvas.dots(_scatter(60, seed=21, top=0.0, bottom=1.0), (*WHITE, 240), radius=0.008)


def _desert(canvas: Canvas, mood: int) -> None:
    if mood == 0:
        canvas.gradient((112, 196, 236), (252, 232, 190), bottom=0.62)
        canvas.glow(0.80, 0.18, 0.085, (255, 226, 110))
    else:
        _sky(canvas, mood, horizon=0.62)
    canvas.hills(0.57, _pick(mood, (236, 186, 112), (190, 112, 92), (74, 70, 104)), rise=0.05, waves=1.2, phase=0.2)
    canvas.hills(0.63, _pick(mood, (226, 164, 88), (172, 92, 76), (62, 58, 92)), rise=0.045, waves=0.9, phase=0.7)
    canvas.hills(0.72, _pick(mood, (240, 188, 110), (204, 122, 88), (88, 82, 116)), rise=0.022, waves=0.7, phase=0.1)
    ripple = _pick(mood, (228, 170, 92), (186, 104, 78), (74, 68, 102))
    for x, y, length in ((0.10, 0.80, 0.2), (0.62, 0.84, 0.24), (0.30, 0.91, 0.26), (0.74, 0.95, 0.18)):
        canvas.rectangle(x, y, x + length, y + 0.008, ripple, corner=0.004)


def _space(canvas: Canvas, mood: int) -> None:
    skies: tuple[tuple[RGB, RGB], ...] = (
        ((10, 14, 44), (26, 34, 90)),
        ((28, 10, 54), (70, 26, 104)),
        ((6, 8, 20), (22, 26, 46)),
    )
    canvas.gradient(*skies[mood])
    if mood == 1:
        for x, y, radius, ink in (
            (0.28, 0.32, 0.42, (190, 70, 190, 26)),
            (0.60, 0.58, 0.40, (96, 80, 226, 30)),
            (0.80, 0.28, 0.30, (236, 96, 160, 26)),
        ):
            for scale in (1.0, 0.75, 0.5):
                canvas.disc(x, y, radius * scale, ink)
    points = _scatter(120, seed=31, top=0.0, bottom=1.0)
    canvas.dots(points[:90], (*WHITE, 170), radius=0.003)
    canvas.dots(points[90:], STARLIGHT, radius=0.006)
    if mood == 0:
        canvas.disc(0.16, 0.20, 0.10, (232, 150, 90))
        canvas.oval(0.16, 0.185, 0.094, 0.022, (246, 186, 124))
        canvas.oval(0.16, 0.235, 0.086, 0.016, (206, 116, 72))
        canvas.oval(0.16, 0.205, 0.17, 0.014, (250, 220, 170, 210))
    elif mood == 2:
        canvas.disc(0.84, 0.18, 0.12, (206, 208, 214))
        for dx, dy, radius in ((-0.04, -0.03, 0.028), (0.04, 0.01, 0.02), (-0.01, 0.06, 0.024)):
            canvas.disc(0.84 + dx * canvas.x_per_unit, 0.18 + dy * canvas.y_per_unit, radius, (172, 176, 186))


def _underwater(canvas: Canvas, mood: int) -> None:
    waters: tuple[tuple[RGB, ...], ...] = (
        ((126, 226, 236), (38, 150, 206), (18, 96, 168)),
        ((40, 120, 190), (14, 58, 122), (6, 28, 74)),
        ((110, 214, 226), (34, 158, 190), (16, 110, 156)),
    )
    canvas.gradient(*waters[mood])
    for left, right in ((0.10, 0.20), (0.38, 0.52), (0.70, 0.80)):
        canvas.polygon([(left, 0.0), (right, 0.0), (right - 0.06, 0.86), (left - 0.16, 0.86)], (255, 255, 255, 26))
    canvas.hills(0.89, ((214, 200, 150), (52, 84, 122), (236, 212, 158))[mood], rise=0.018, waves=1.1, phase=0.2)
    weed = ((38, 148, 104), (14, 84, 100), (46, 160, 96))[mood]
    for x, height in ((0.05, 0.26), (0.10, 0.18), (0.90, 0.22), (0.95, 0.30)):
        sway = [(x + 0.012 * math.sin(t * 1.1), 0.94 - height * t / 11) for t in range(12)]
        canvas.line(sway, weed, thickness=0.022)
    if mood == 2:
        for x, ink in ((0.19, (250, 106, 120)), (0.80, (255, 164, 70)), (0.29, (226, 110, 206))):
            for dx, tall in ((-0.035, 0.07), (0.0, 0.10), (0.035, 0.075)):
                canvas.line([(x, 0.93), (x + dx, 0.91 - tall)], ink, thickness=0.024)
                canvas.disc(x + dx, 0.91 - tall, 0.02, ink)
    for x, y in _scatter(22, seed=41, top=0.05, bottom=0.85):
        canvas.disc(x, y, 0.011, (255, 255, 255, 70))
        canvas.disc(x - 0.003, y - 0.003, 0.004, (255, 255, 255, 150))


def _sunset(canvas: Canvas, mood: int) -> None:
    skies: tuple[tuple[RGB, ...], ...] = (
        ((232, 88, 52), (252, 154, 60), (255, 216, 112)),
        ((196, 84, 150), (250, 132, 150), (255, 206, 170)),
        ((70, 44, 132), (158, 76, 160), (246, 146, 140)),
    )
    canvas.gradient(*skies[mood], bottom=0.60)
    canvas.glow(0.50, 0.54, 0.16, (255, 240, 160))
    for x, y, size in ((0.16, 0.20, 0.13), (0.80, 0.14, 0.15)):
        canvas.cloud(x, y, size, ((246, 150, 96), (242, 148, 168), (150, 90, 166))[mood])
    seas: tuple[tuple[RGB, RGB], ...] = (
        ((226, 112, 62), (112, 44, 66)),
        ((204, 98, 138), (94, 44, 104)),
        ((140, 72, 140), (44, 30, 92)),
    )
    canvas.gradient(*seas[mood], top=0.60, bottom=1.0)
    for index in range(7):
        y, half = 0.615 + 0.032 * index, (0.13 - 0.012 * index) * canvas.x_per_unit
        shift = 0.02 * (-1) ** index
        canvas.rectangle(0.5 - half + shift, y, 0.5 + half + shift, y + 0.011, (255, 236, 166, 190), corner=0.006)
    canvas.hills(0.85, ((78, 34, 48), (70, 34, 76), (34, 24, 66))[mood], rise=0.010, waves=1.0, phase=0.2)


def _road(canvas: Canvas, mood: int) -> None:
    _sky(canvas, mood, horizon=0.55)
    canvas.hills(0.50, _pick(mood, (142, 196, 128), (122, 104, 118), (30, 48, 78)), rise=0.035, waves=1.2, phase=0.4)
    canvas.hills(0.545, _pick(mood, (112, 182, 92), (104, 110, 78), (28, 54, 62)), rise=0.005, waves=1.0)
    canvas.polygon(
        [(0.455, 0.54), (0.545, 0.54), (1.12, 1.0), (-0.12, 1.0)],
        _pick(mood, (96, 98, 108), (92, 80, 92), (46, 48, 64)),
    )
    edge = _pick(mood, (240, 240, 236), (240, 214, 186), (150, 156, 178))
    canvas.polygon([(0.462, 0.54), (0.466, 0.54), (-0.03, 1.0), (-0.07, 1.0)], edge)
    canvas.polygon([(0.534, 0.54), (0.538, 0.54), (1.07, 1.0), (1.03, 1.0)], edge)
    for top, bottom in ((0.56, 0.585), (0.61, 0.655), (0.69, 0.76), (0.81, 0.91)):
        thin, thick = 0.035 * (top - 0.5), 0.035 * (bottom - 0.5)
        canvas.polygon(
            [(0.5 - thin, top), (0.5 + thin, top), (0.5 + thick, bottom), (0.5 - thick, bottom)], (250, 208, 76)
        )


def _room(canvas: Canvas, mood: int) -> None:
    walls: tuple[RGB, ...] = ((160, 204, 226), (172, 212, 176), (244, 190, 198))
    canvas.gradient(walls[mood], walls[mood], bottom=0.72)
    canvas.gradient((206, 154, 104), (180, 126, 80), top=0.72, bottom=1.0)
    canvas.rectangle(0.0, 0.70, 1.0, 0.73, (250, 246, 238))
    for y in (0.79, 0.87, 0.95):
        canvas.rectangle(0.0, y, 1.0, y + 0.004, (164, 112, 70))
    canvas.rectangle(0.08, 0.10, 0.36, 0.46, (250, 248, 242), corner=0.01)
    canvas.rectangle(0.10, 0.12, 0.34, 0.44, (150, 214, 246))
    canvas.rectangle(0.10, 0.35, 0.34, 0.44, (134, 200, 112))
    canvas.rectangle(0.215, 0.12, 0.225, 0.44, (250, 248, 242))
    canvas.rectangle(0.10, 0.275, 0.34, 0.285, (250, 248, 242))
    canvas.rectangle(0.64, 0.14, 0.86, 0.34, (134, 92, 60), corner=0.008)
    canvas.rectangle(0.66, 0.16, 0.84, 0.32, (252, 240, 214))
    canvas.polygon([(0.66, 0.32), (0.72, 0.22), (0.77, 0.29), (0.80, 0.25), (0.84, 0.32)], (110, 150, 190))
    canvas.oval(0.5, 0.90, 0.36, 0.065, ((232, 116, 96), (120, 130, 196), (116, 176, 178))[mood])
    canvas.oval(0.5, 0.90, 0.30, 0.048, ((244, 150, 126), (146, 156, 214), (146, 200, 200))[mood])


def _forest(canvas: Canvas, mood: int) -> None:
    airs: tuple[tuple[RGB, RGB], ...] = (
        ((150, 208, 172), (206, 236, 190)),
        ((250, 212, 150), (252, 234, 194)),
        ((186, 204, 206), (226, 234, 232)),
    )
    canvas.gradient(*airs[mood], bottom=0.75)
    greens: tuple[RGB, ...] = ((116, 184, 124), (80, 156, 92), (46, 120, 68))
    autumns: tuple[RGB, ...] = ((240, 176, 84), (226, 124, 54), (192, 74, 44))
    fogs: tuple[RGB, ...] = ((168, 192, 192), (132, 166, 164), (92, 132, 130))
    far, middle, near = (greens, autumns, fogs)[mood]
    for index in range(9):
        canvas.leafy_tree(0.02 + index * 0.122, 0.70, 0.46 + 0.05 * (index % 3), far, trunk=(150, 122, 96))
    for index in range(6):
        canvas.leafy_tree(0.05 + index * 0.18, 0.73, 0.52 + 0.06 * (index % 2), middle, trunk=(124, 92, 66))
    ground: tuple[RGB, ...] = ((98, 158, 76), (176, 122, 66), (122, 148, 128))
    canvas.hills(0.71, ground[mood], rise=0.012, waves=1.2)
    for x, size in ((0.01, 0.86), (0.99, 0.90)):
        canvas.leafy_tree(x, 0.80, size, near, trunk=(96, 66, 46))
    leaf: tuple[RGB, ...] = ((74, 134, 60), (214, 92, 44), (102, 130, 112))
    canvas.dots(_scatter(40, seed=51, top=0.75, bottom=0.99), leaf[mood], radius=0.007)


def _mountains(canvas: Canvas, mood: int) -> None:
    if mood == 2:
        canvas.gradient((150, 190, 232), (252, 206, 206), (255, 234, 200), bottom=0.68)
    else:
        _sky(canvas, mood, horizon=0.68)
    rocks: tuple[tuple[RGB, RGB], ...] = (
        ((128, 148, 182), (96, 116, 154)),
        ((132, 98, 138), (98, 70, 112)),
        ((158, 150, 190), (122, 118, 164)),
    )
    snow = _pick(mood, WHITE, (255, 224, 206), (255, 244, 244))
    light, dark = rocks[mood]
    for x, top, half in ((0.20, 0.26, 0.30), (0.82, 0.30, 0.30), (0.52, 0.16, 0.34)):
        _peak(canvas, x, top, half, light=light, dark=dark, snow=snow)
    canvas.hills(0.64, _pick(mood, (96, 156, 104), (92, 92, 88), (110, 150, 126)), rise=0.025, waves=1.4, phase=0.3)
    fir = _pick(mood, (44, 112, 82), (54, 62, 72), (62, 112, 100))
    for index in range(12):
        canvas.fir(0.02 + index * 0.088, 0.70 + 0.012 * (index % 2), 0.11 + 0.02 * (index % 3), fir)
    canvas.hills(0.70, _pick(mood, (124, 186, 96), (122, 116, 84), (142, 182, 124)), rise=0.012, waves=0.9)


def _peak(canvas: Canvas, x: float, top: float, half: float, *, light: RGB, dark: RGB, snow: Ink) -> None:
    """One mountain: a lit and a shaded side under a zigzag of snow."""
    foot, cap = 0.70, 0.30
    canvas.polygon([(x - half, foot), (x, top), (x + half, foot)], light)
    canvas.polygon([(x, top), (x + half, foot), (x + 0.12 * half, foot), (x - 0.06 * half, 0.5 * (top + foot))], dark)
    line, side = top + cap * (foot - top), cap * half
    zigzag = [
        (x + side, line),
        (x + 0.5 * side, line - 0.03),
        (x + 0.1 * side, line + 0.04),
        (x - 0.4 * side, line - 0.03),
    ]
    canvas.polygon([(x, top), *zigzag, (x - side, line)], snow)


_PAINTERS: dict[str, Callable[[Canvas, int], None]] = {
    "beach": _beach,
    "city": _city,
    "meadow": _meadow,
    "snow": _snow,
    "desert": _desert,
    "space": _space,
    "underwater": _underwater,
    "sunset": _sunset,
    "road": _road,
    "room": _room,
    "forest": _forest,
    "mountains": _mountains,
}
