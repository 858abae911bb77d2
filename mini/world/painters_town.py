"""Painters of built places, in the colours of day; the canvas tints them for other hours.

The city is the exception: there it is always night.
"""

import random

from mini.world.canvas import Canvas
from mini.world.colours import RGB
from mini.world.light import LAMPLIGHT, WHITE, sky, stars
from mini.world.painters_nature import flower

CITY_GROUND = 0.70


def paint_city(canvas: Canvas, mood: str) -> None:
    with canvas.untinted():
        _paint_city_night(canvas, mood)


def _paint_city_night(canvas: Canvas, mood: str) -> None:
    skies: dict[str, tuple[RGB, RGB]] = {
        "night": ((20, 22, 62), (92, 72, 140)),
        "moon": ((10, 26, 66), (40, 92, 150)),
        "neon": ((44, 10, 70), (196, 52, 140)),
        "rain": ((30, 36, 54), (74, 84, 108)),
        "snowfall": ((58, 68, 102), (132, 142, 178)),
        "fog": ((70, 78, 100), (126, 132, 150)),
    }
    canvas.gradient(*skies[mood], bottom=0.74)
    if mood in ("night", "moon", "neon"):
        stars(canvas, bottom=0.34)
    if mood == "moon":
        canvas.glow(0.78, 0.16, 0.09, (250, 244, 214))
    rng = random.Random(11)
    blue: tuple[RGB, RGB] = ((54, 48, 104), (30, 30, 72))
    back, front = {"moon": ((30, 58, 106), (18, 34, 70)), "neon": ((88, 30, 104), (36, 16, 66))}.get(mood, blue)
    panes: tuple[RGB, ...] = ((96, 240, 240), (255, 110, 200)) if mood == "neon" else ((255, 214, 110),)
    for ink, low, high, width in ((back, 0.20, 0.38, 0.10), (front, 0.34, 0.56, 0.125)):
        left = -0.02
        while left < 1.0:
            top = rng.uniform(low, high)
            canvas.rectangle(left, top, left + width * 0.94, 0.72, ink)
            if mood == "snowfall":
                canvas.rectangle(left - 0.004, top - 0.014, left + width * 0.94 + 0.004, top + 0.010, (226, 232, 246))
            if ink == front:
                _windows(canvas, left, top, width, panes, rng)
            left += width
    snowy = mood == "snowfall"
    canvas.gradient(*(((196, 204, 226), (220, 226, 240)) if snowy else ((48, 48, 68), (70, 68, 92))), top=CITY_GROUND)
    canvas.rectangle(0.0, 0.69, 1.0, 0.71, (236, 240, 250) if snowy else (98, 96, 122))
    for left in (0.02, 0.29, 0.56, 0.83):
        canvas.rectangle(left, 0.875, left + 0.15, 0.890, (176, 170, 150), corner=0.004)


def _windows(canvas: Canvas, left: float, top: float, width: float, inks: tuple[RGB, ...], rng: random.Random) -> None:
    y = top + 0.03
    while y < 0.66:
        for column in range(3):
            if rng.random() < 0.65:
                x = left + width * (0.14 + 0.25 * column)
                canvas.rectangle(x, y, x + width * 0.15, y + 0.024, rng.choice(inks))
        y += 0.05


def paint_road(canvas: Canvas, mood: str) -> None:
    sky(canvas, mood, horizon=0.55)
    canvas.hills(0.50, (142, 196, 128), rise=0.035, waves=1.2, phase=0.4)
    for x, size in ((0.06, 0.24), (0.18, 0.17), (0.84, 0.18), (0.95, 0.26)):
        canvas.leafy_tree(x, 0.57, size, (70, 146, 82), trunk=(120, 88, 62))
    canvas.hills(0.545, (112, 182, 92), rise=0.005, waves=1.0)
    canvas.polygon([(0.455, 0.54), (0.545, 0.54), (1.12, 1.0), (-0.12, 1.0)], (96, 98, 108))
    canvas.polygon([(0.462, 0.54), (0.466, 0.54), (-0.03, 1.0), (-0.07, 1.0)], (240, 240, 236))
    canvas.polygon([(0.534, 0.54), (0.538, 0.54), (1.07, 1.0), (1.03, 1.0)], (240, 240, 236))
    for top, bottom in ((0.56, 0.585), (0.61, 0.655), (0.69, 0.76), (0.81, 0.91)):
        thin, thick = 0.035 * (top - 0.5), 0.035 * (bottom - 0.5)
        dash = [(0.5 - thin, top), (0.5 + thin, top), (0.5 + thick, bottom), (0.5 - thick, bottom)]
        canvas.polygon(dash, (250, 208, 76))


def paint_room(canvas: Canvas, mood: str) -> None:
    index = ("blue", "green", "pink").index(mood)
    walls: tuple[RGB, ...] = ((160, 204, 226), (172, 212, 176), (244, 190, 198))
    canvas.gradient(walls[index], walls[index], bottom=0.70)
    canvas.gradient((206, 154, 104), (180, 126, 80), top=0.70, bottom=1.0)
    canvas.rectangle(0.0, 0.670, 1.0, 0.705, (238, 228, 212))
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
    canvas.oval(0.5, 0.90, 0.36, 0.065, ((232, 116, 96), (120, 130, 196), (116, 176, 178))[index])
    canvas.oval(0.5, 0.90, 0.30, 0.048, ((244, 150, 126), (146, 156, 214), (146, 200, 200))[index])


def paint_garden(canvas: Canvas, mood: str) -> None:
    sky(canvas, mood, horizon=0.55)
    canvas.rectangle(0.0, 0.52, 1.0, 0.68, (74, 150, 84))
    for index in range(12):
        canvas.disc(index / 11, 0.52 + 0.012 * (index % 2), 0.10, (74, 150, 84))
    canvas.leafy_tree(0.04, 0.66, 0.56, (92, 170, 88), trunk=(128, 92, 62))
    canvas.leafy_tree(0.97, 0.66, 0.50, (240, 154, 176), trunk=(128, 92, 62))
    canvas.hills(0.64, (124, 196, 92), rise=0.006, waves=1.0)
    for index in range(20):
        x = (index + 0.5) / 20
        canvas.polygon(
            [(x - 0.015, 0.67), (x - 0.015, 0.515), (x, 0.49), (x + 0.015, 0.515), (x + 0.015, 0.67)], (250, 250, 248)
        )
    for y in (0.54, 0.61):
        canvas.rectangle(0.0, y, 1.0, y + 0.020, (232, 234, 238))
    canvas.rectangle(0.0, 0.665, 1.0, 1.0, (124, 196, 92))
    canvas.polygon([(0.44, 0.665), (0.56, 0.665), (0.76, 1.0), (0.24, 1.0)], (238, 214, 166))
    petals = ((238, 70, 84), (255, 208, 64), (240, 120, 180), (150, 92, 214))
    for left in (0.0, 0.68):
        canvas.rectangle(left + 0.01, 0.70, left + 0.31, 0.79, (116, 84, 58), corner=0.02)
        canvas.rectangle(left + 0.01, 0.68, left + 0.31, 0.775, (70, 146, 74), corner=0.02)
        for row in range(2):
            for column in range(6):
                x, y = left + 0.04 + 0.048 * column, 0.705 + 0.045 * row
                flower(canvas, x, y, 0.024, petals[(column + 2 * row) % 4])


def paint_farm(canvas: Canvas, mood: str) -> None:
    sky(canvas, mood, horizon=0.58)
    canvas.hills(0.53, (156, 206, 118), rise=0.035, waves=0.9, phase=0.6)
    canvas.hills(0.585, (226, 196, 96), rise=0.004, waves=1.0)
    rows = 11
    for index in range(0, rows, 2):
        near, far = (index / rows * 2.2 - 0.6, (index + 1) / rows * 2.2 - 0.6), (index / rows, (index + 1) / rows)
        row = [(far[0], 0.585), (far[1], 0.585), (near[1], 1.0), (near[0], 1.0)]
        canvas.polygon(row, (198, 162, 70))
    canvas.hills(0.70, (128, 190, 86), rise=0.006, waves=1.0, phase=0.3)
    _barn(canvas, mood)
    for x, y, radius in ((0.94, 0.665, 0.062), (0.84, 0.685, 0.050)):
        canvas.disc(x, y, radius, (236, 190, 84))
        canvas.disc(x, y, 0.66 * radius, (214, 162, 62))
        canvas.disc(x, y, 0.32 * radius, (236, 190, 84))
    for index in range(5):
        x = 0.52 + 0.06 * index
        canvas.rectangle(x, 0.63, x + 0.012, 0.72, (150, 108, 72))
    for y in (0.645, 0.68):
        canvas.rectangle(0.50, y, 0.79, y + 0.012, (168, 124, 84))


def _barn(canvas: Canvas, mood: str) -> None:
    canvas.rectangle(0.335, 0.30, 0.415, 0.70, (190, 198, 208))
    canvas.oval(0.375, 0.305, 0.04 / canvas.x_per_unit, 0.05, (150, 160, 174))
    red, roof = (206, 60, 52), (112, 70, 66)
    canvas.polygon(
        [(0.05, 0.72), (0.05, 0.42), (0.11, 0.31), (0.19, 0.25), (0.27, 0.31), (0.33, 0.42), (0.33, 0.72)], red
    )
    gable = [(0.03, 0.44), (0.10, 0.30), (0.19, 0.235), (0.28, 0.30), (0.35, 0.44)]
    canvas.line(gable, roof, thickness=0.034)
    canvas.rectangle(0.12, 0.53, 0.26, 0.72, WHITE)
    canvas.rectangle(0.13, 0.545, 0.25, 0.72, (178, 46, 42))
    canvas.line([(0.13, 0.545), (0.25, 0.72)], WHITE, thickness=0.012)
    canvas.line([(0.25, 0.545), (0.13, 0.72)], WHITE, thickness=0.012)
    canvas.rectangle(0.155, 0.365, 0.225, 0.455, WHITE)
    if mood in ("evening", "night"):
        with canvas.untinted():
            canvas.rectangle(0.163, 0.378, 0.217, 0.443, LAMPLIGHT)
    else:
        canvas.rectangle(0.163, 0.378, 0.217, 0.443, (96, 62, 56))


def paint_street(canvas: Canvas, mood: str) -> None:
    sky(canvas, mood, horizon=0.60)
    shops: tuple[tuple[RGB, RGB, float], ...] = (
        ((244, 206, 140), (216, 74, 66), 0.17),
        ((150, 200, 214), (58, 118, 190), 0.25),
        ((240, 170, 156), (70, 150, 104), 0.14),
        ((202, 186, 226), (236, 150, 52), 0.23),
        ((180, 212, 160), (196, 78, 136), 0.28),
    )
    for index, (wall, awning, top) in enumerate(shops):
        _shop(canvas, 0.2 * index, top, wall, awning, glows=mood in ("evening", "night", "rain"))
    canvas.gradient((206, 204, 206), (188, 186, 190), top=0.70, bottom=0.84)
    for index in range(11):
        x = index / 10
        canvas.line([(x, 0.70), (0.5 + 1.18 * (x - 0.5), 0.84)], (170, 168, 174), thickness=0.006)
    canvas.rectangle(0.0, 0.765, 1.0, 0.770, (170, 168, 174))
    canvas.rectangle(0.0, 0.835, 1.0, 0.860, (150, 148, 154))
    canvas.gradient((104, 106, 116), (90, 92, 102), top=0.86)


def _shop(canvas: Canvas, left: float, top: float, wall: RGB, awning: RGB, *, glows: bool) -> None:
    """One house, a fifth of the width: two windows above, an awning, a shop window and a door below."""
    right, pane = left + 0.2, (120, 168, 196)
    canvas.rectangle(left, top, right, 0.71, wall)
    canvas.rectangle(left - 0.004, top - 0.012, right + 0.004, top + 0.022, (250, 246, 236))
    canvas.rectangle(left + 0.012, 0.50, right - 0.012, 0.71, awning)
    for x, upper, lower, width in ((0.035, top + 0.06, 0.40, 0.045), (0.12, top + 0.06, 0.40, 0.045)):
        canvas.rectangle(left + x - 0.008, upper - 0.012, left + x + width + 0.008, lower + 0.012, (250, 246, 236))
        canvas.rectangle(left + x, upper, left + x + width, lower, pane)
    panes = ((left + 0.025, 0.53, left + 0.115, 0.66), (left + 0.13, 0.53, left + 0.18, 0.71))
    if glows:
        with canvas.untinted():
            for box in panes:
                canvas.rectangle(*box, LAMPLIGHT)
    else:
        canvas.rectangle(*panes[0], (206, 232, 240))
        canvas.rectangle(*panes[1], (96, 72, 62))
    for stripe in range(6):
        x, ink = left + 0.2 * stripe / 6, awning if stripe % 2 == 0 else WHITE
        canvas.polygon([(x, 0.45), (x + 0.2 / 6, 0.45), (x + 0.2 / 6, 0.53), (x, 0.53)], ink)
        canvas.oval(x + 0.1 / 6, 0.53, 0.1 / 6 / canvas.x_per_unit, 0.018, ink)
