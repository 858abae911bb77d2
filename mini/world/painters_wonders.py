"""Painters of places with a light of their own: space, the sea floor, the sunset. Each has its own three moods."""

import math

from mini.world.canvas import Canvas
from mini.world.colours import RGB
from mini.world.light import STARLIGHT, WHITE, scatter


def paint_space(canvas: Canvas, mood: str) -> None:
    index = ("planet", "nebula", "moon").index(mood)
    skies: tuple[tuple[RGB, RGB], ...] = (
        ((10, 14, 44), (26, 34, 90)),
        ((28, 10, 54), (70, 26, 104)),
        ((6, 8, 20), (22, 26, 46)),
    )
    canvas.gradient(*skies[index])
    if mood == "nebula":
        for x, y, radius, ink in (
            (0.28, 0.32, 0.42, (190, 70, 190, 26)),
            (0.60, 0.58, 0.40, (96, 80, 226, 30)),
            (0.80, 0.28, 0.30, (236, 96, 160, 26)),
        ):
            for scale in (1.0, 0.75, 0.5):
                canvas.disc(x, y, radius * scale, ink)
    points = scatter(70, seed=31, top=0.0, bottom=1.0)
    canvas.dots(points[:45], (*WHITE, 180), radius=0.0045)
    canvas.dots(points[45:], STARLIGHT, radius=0.0075)
    if mood == "planet":
        canvas.disc(0.16, 0.20, 0.10, (232, 150, 90))
        canvas.oval(0.16, 0.185, 0.094, 0.022, (246, 186, 124))
        canvas.oval(0.16, 0.235, 0.086, 0.016, (206, 116, 72))
        canvas.oval(0.16, 0.205, 0.17, 0.014, (250, 220, 170, 210))
    elif mood == "moon":
        canvas.disc(0.84, 0.18, 0.12, (206, 208, 214))
        for dx, dy, radius in ((-0.04, -0.03, 0.028), (0.04, 0.01, 0.02), (-0.01, 0.06, 0.024)):
            canvas.disc(0.84 + dx * canvas.x_per_unit, 0.18 + dy * canvas.y_per_unit, radius, (172, 176, 186))


def paint_underwater(canvas: Canvas, mood: str) -> None:
    index = ("clear", "deep", "corals").index(mood)
    waters: tuple[tuple[RGB, ...], ...] = (
        ((126, 226, 236), (38, 150, 206), (18, 96, 168)),
        ((40, 120, 190), (14, 58, 122), (6, 28, 74)),
        ((110, 214, 226), (34, 158, 190), (16, 110, 156)),
    )
    canvas.gradient(*waters[index])
    for left, right in ((0.10, 0.20), (0.38, 0.52), (0.70, 0.80)):
        canvas.polygon([(left, 0.0), (right, 0.0), (right - 0.06, 0.86), (left - 0.16, 0.86)], (255, 255, 255, 26))
    canvas.hills(0.82, ((214, 200, 150), (52, 84, 122), (236, 212, 158))[index], rise=0.018, waves=1.1, phase=0.2)
    weed = ((38, 148, 104), (14, 84, 100), (46, 160, 96))[index]
    for x, height in ((0.05, 0.26), (0.10, 0.18), (0.90, 0.22), (0.95, 0.30)):
        sway = [(x + 0.012 * math.sin(t * 1.1), 0.92 - height * t / 11) for t in range(12)]
        canvas.line(sway, weed, thickness=0.022)
    if mood == "corals":
        for x, ink in ((0.19, (250, 106, 120)), (0.80, (255, 164, 70)), (0.29, (226, 110, 206))):
            for dx, tall in ((-0.035, 0.07), (0.0, 0.10), (0.035, 0.075)):
                canvas.line([(x, 0.91), (x + dx, 0.89 - tall)], ink, thickness=0.024)
                canvas.disc(x + dx, 0.89 - tall, 0.02, ink)
    for x, y in scatter(22, seed=41, top=0.05, bottom=0.85):
        canvas.disc(x, y, 0.011, (255, 255, 255, 70))
        canvas.disc(x - 0.003, y - 0.003, 0.004, (255, 255, 255, 150))


def paint_sunset(canvas: Canvas, mood: str) -> None:
    index = ("orange", "pink", "purple").index(mood)
    skies: tuple[tuple[RGB, ...], ...] = (
        ((232, 88, 52), (252, 154, 60), (255, 216, 112)),
        ((196, 84, 150), (250, 132, 150), (255, 206, 170)),
        ((70, 44, 132), (158, 76, 160), (246, 146, 140)),
    )
    canvas.gradient(*skies[index], bottom=0.52)
    canvas.glow(0.50, 0.45, 0.16, (255, 240, 160))
    for x, y, size in ((0.16, 0.20, 0.13), (0.80, 0.14, 0.15)):
        canvas.cloud(x, y, size, ((246, 150, 96), (242, 148, 168), (150, 90, 166))[index])
    seas: tuple[tuple[RGB, RGB], ...] = (
        ((226, 112, 62), (112, 44, 66)),
        ((204, 98, 138), (94, 44, 104)),
        ((140, 72, 140), (44, 30, 92)),
    )
    canvas.gradient(*seas[index], top=0.52, bottom=0.74)
    for step in range(6):
        y, half = 0.535 + 0.028 * step, (0.13 - 0.014 * step) * canvas.x_per_unit
        shift = 0.02 * (-1) ** step
        canvas.rectangle(0.5 - half + shift, y, 0.5 + half + shift, y + 0.011, (255, 236, 166, 190), corner=0.006)
    canvas.hills(0.695, ((250, 196, 130), (250, 186, 196), (186, 128, 180))[index], rise=0.010, waves=1.0, phase=0.2)
    canvas.hills(0.705, ((176, 98, 66), (158, 84, 112), (98, 62, 122))[index], rise=0.010, waves=1.0, phase=0.2)
