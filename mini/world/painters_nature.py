"""Painters of natural places, in the colours of day; the canvas tints them for other hours."""

from mini.world.canvas import Canvas, Ink
from mini.world.colours import RGB
from mini.world.light import WHITE, scatter, sky


def paint_beach(canvas: Canvas, mood: str) -> None:
    sky(canvas, mood, horizon=0.50)
    canvas.gradient((24, 128, 200), (92, 208, 216), top=0.47, bottom=0.72)
    foam = (255, 255, 255, 190)
    for x, y, length in ((0.10, 0.53, 0.16), (0.55, 0.51, 0.12), (0.36, 0.57, 0.18), (0.78, 0.56, 0.15)):
        canvas.rectangle(x, y, x + length, y + 0.008, foam, corner=0.004)
    canvas.hills(0.650, foam, rise=0.014, waves=1.5)
    canvas.hills(0.668, (232, 204, 148), rise=0.014, waves=1.5)
    canvas.hills(0.692, (248, 224, 170), rise=0.014, waves=1.5)
    canvas.dots(scatter(18, seed=3, top=0.75, bottom=0.99), (232, 204, 146), radius=0.008)
    canvas.palm(0.09, 0.78, 0.62, (46, 148, 82), (150, 104, 66))


def paint_meadow(canvas: Canvas, mood: str) -> None:
    sky(canvas, mood, horizon=0.62)
    canvas.hills(0.55, (150, 208, 112), rise=0.05, waves=0.9, phase=0.1)
    canvas.leafy_tree(0.90, 0.60, 0.26, (70, 152, 78), trunk=(122, 88, 60))
    canvas.hills(0.61, (116, 188, 88), rise=0.035, waves=1.1, phase=0.55)
    canvas.hills(0.68, (92, 172, 74), rise=0.015, waves=0.8, phase=0.2)
    if mood == "flowers":
        for index, (x, y) in enumerate(scatter(48, seed=9, top=0.71, bottom=0.99)):
            petal = (WHITE, (255, 214, 70), (240, 96, 130), (176, 116, 226))[index % 4]
            flower(canvas, x, y, 0.027, petal)
        return
    for x, y in scatter(24, seed=5, top=0.74, bottom=0.99):
        canvas.line([(x, y), (x - 0.010, y - 0.026)], (72, 150, 62), thickness=0.008)
        canvas.line([(x, y), (x + 0.010, y - 0.026)], (72, 150, 62), thickness=0.008)


def flower(canvas: Canvas, x: float, y: float, radius: float, petal: Ink) -> None:
    canvas.disc(x, y, radius, petal)
    canvas.disc(x, y, 0.4 * radius, (250, 170, 40))


def paint_snow(canvas: Canvas, mood: str) -> None:
    sky(canvas, mood, horizon=0.66)
    canvas.hills(0.56, (198, 218, 240), rise=0.05, waves=0.8, phase=0.3)
    for x, y, size in ((0.06, 0.68, 0.34), (0.19, 0.66, 0.23), (0.80, 0.66, 0.24), (0.93, 0.69, 0.36)):
        canvas.fir(x, y, size, (58, 122, 104), snow=WHITE)
    canvas.hills(0.65, (222, 234, 248), rise=0.02, waves=1.0, phase=0.6)
    canvas.hills(0.74, (246, 249, 254), rise=0.016, waves=0.7)


def paint_desert(canvas: Canvas, mood: str) -> None:
    if mood == "day":
        canvas.gradient((112, 196, 236), (252, 232, 190), bottom=0.62)
        canvas.glow(0.80, 0.18, 0.085, (255, 226, 110))
    else:
        sky(canvas, mood, horizon=0.62)
    canvas.hills(0.57, (236, 186, 112), rise=0.05, waves=1.2, phase=0.2)
    canvas.hills(0.63, (226, 164, 88), rise=0.045, waves=0.9, phase=0.7)
    _cactus(canvas, 0.10, 0.74, 0.34)
    _cactus(canvas, 0.91, 0.71, 0.22)
    canvas.hills(0.70, (240, 188, 110), rise=0.018, waves=0.7, phase=0.1)
    for x, y, length in ((0.10, 0.80, 0.2), (0.62, 0.84, 0.24), (0.30, 0.91, 0.26), (0.74, 0.95, 0.18)):
        canvas.rectangle(x, y, x + length, y + 0.010, (228, 170, 92), corner=0.005)


def _cactus(canvas: Canvas, x: float, y: float, size: float) -> None:
    dx, dy = size * canvas.x_per_unit, size * canvas.y_per_unit
    green = (76, 146, 84)
    canvas.rectangle(x - 0.10 * dx, y - dy, x + 0.10 * dx, y, green, corner=0.10 * size)
    for side, low, high in ((-1, 0.42, 0.78), (1, 0.55, 0.88)):
        tip = x + side * 0.32 * dx
        canvas.rectangle(min(x, tip), y - (low + 0.13) * dy, max(x, tip), y - low * dy, green, corner=0.05 * size)
        canvas.rectangle(tip - 0.07 * dx, y - high * dy, tip + 0.07 * dx, y - low * dy, green, corner=0.07 * size)


def paint_forest(canvas: Canvas, mood: str) -> None:
    autumn = mood == "autumn"
    airs: tuple[RGB, RGB] = ((250, 212, 150), (252, 234, 194)) if autumn else ((150, 208, 172), (206, 236, 190))
    canvas.gradient(*airs, bottom=0.75)
    if mood == "night":
        with canvas.untinted():
            canvas.glow(0.80, 0.10, 0.06, (246, 242, 214))
    greens: tuple[RGB, RGB, RGB] = ((116, 184, 124), (80, 156, 92), (46, 120, 68))
    autumns: tuple[RGB, RGB, RGB] = ((240, 176, 84), (226, 124, 54), (192, 74, 44))
    far, middle, near = autumns if autumn else greens
    for index in range(9):
        canvas.leafy_tree(0.02 + index * 0.122, 0.70, 0.46 + 0.05 * (index % 3), far, trunk=(150, 122, 96))
    for index in range(6):
        canvas.leafy_tree(0.05 + index * 0.18, 0.73, 0.52 + 0.06 * (index % 2), middle, trunk=(124, 92, 66))
    canvas.hills(0.70, (176, 122, 66) if autumn else (98, 158, 76), rise=0.012, waves=1.2)
    for x, size in ((0.01, 0.86), (0.99, 0.90)):
        canvas.leafy_tree(x, 0.80, size, near, trunk=(96, 66, 46))
    leaf = (214, 92, 44) if autumn else (78, 138, 62)
    canvas.dots(scatter(24, seed=51, top=0.75, bottom=0.99), leaf, radius=0.010)


def paint_mountains(canvas: Canvas, mood: str) -> None:
    sky(canvas, mood, horizon=0.68)
    for x, top, half in ((0.20, 0.26, 0.30), (0.82, 0.30, 0.30), (0.52, 0.16, 0.34)):
        _peak(canvas, x, top, half, foot=0.70)
    canvas.hills(0.64, (96, 156, 104), rise=0.025, waves=1.4, phase=0.3)
    for index in range(12):
        canvas.fir(0.02 + index * 0.088, 0.70 + 0.012 * (index % 2), 0.11 + 0.02 * (index % 3), (44, 112, 82))
    canvas.hills(0.70, (124, 186, 96), rise=0.012, waves=0.9)


def _peak(canvas: Canvas, x: float, top: float, half: float, *, foot: float) -> None:
    """One mountain: a lit and a shaded side under a zigzag of snow."""
    cap = 0.30
    canvas.polygon([(x - half, foot), (x, top), (x + half, foot)], (128, 148, 182))
    shade = [(x, top), (x + half, foot), (x + 0.12 * half, foot), (x - 0.06 * half, 0.5 * (top + foot))]
    canvas.polygon(shade, (96, 116, 154))
    line, side = top + cap * (foot - top), cap * half
    zigzag = [
        (x + side, line),
        (x + 0.5 * side, line - 0.03),
        (x + 0.1 * side, line + 0.04),
        (x - 0.4 * side, line - 0.03),
    ]
    canvas.polygon([(x, top), *zigzag, (x - side, line)], WHITE)


def paint_lake(canvas: Canvas, mood: str) -> None:
    sky(canvas, mood, horizon=0.50)
    for x, top, half in ((0.10, 0.24, 0.26), (0.42, 0.30, 0.22), (0.76, 0.20, 0.32)):
        _peak(canvas, x, top, half, foot=0.48)
    canvas.hills(0.455, (74, 138, 96), rise=0.012, waves=1.3, phase=0.2)
    canvas.gradient((126, 200, 226), (48, 138, 188), top=0.48, bottom=0.74)
    for x, tip, half in ((0.10, 0.60, 0.13), (0.76, 0.63, 0.16)):
        canvas.polygon([(x - half, 0.482), (x, tip), (x + half, 0.482)], (96, 136, 176, 110))
    for x, y, length in ((0.30, 0.53, 0.16), (0.52, 0.60, 0.14), (0.22, 0.635, 0.14), (0.44, 0.555, 0.10)):
        canvas.rectangle(x, y, x + length, y + 0.009, (214, 240, 250, 200), corner=0.005)
    canvas.hills(0.690, (206, 190, 140), rise=0.010, waves=1.1, phase=0.4)
    canvas.hills(0.706, (122, 184, 92), rise=0.010, waves=1.1, phase=0.4)
    _jetty(canvas)
    for x, tall in ((0.02, 0.27), (0.055, 0.22), (0.09, 0.29), (0.13, 0.20), (0.165, 0.25)):
        canvas.line([(x, 0.80), (x, 0.80 - tall)], (70, 130, 70), thickness=0.012)
        canvas.line([(x, 0.80), (x + 0.03, 0.84 - tall)], (92, 154, 80), thickness=0.012)
        canvas.line([(x, 0.84 - tall), (x, 0.78 - tall)], (122, 78, 48), thickness=0.030)
    canvas.oval(0.09, 0.81, 0.16, 0.022, (106, 168, 82))


def _jetty(canvas: Canvas) -> None:
    """Planks that run out over the water, narrower the farther they are."""
    post = (104, 72, 48)
    for x, y in ((0.785, 0.56), (0.865, 0.56), (0.77, 0.65), (0.885, 0.65)):
        canvas.rectangle(x - 0.009, y - 0.05, x + 0.009, y + 0.06, post)
    canvas.polygon([(0.79, 0.56), (0.86, 0.56), (0.94, 0.78), (0.75, 0.78)], (176, 128, 82))
    for step in range(6):
        y = 0.575 + 0.006 * step + 0.0055 * step * step
        share = (y - 0.56) / 0.22
        canvas.rectangle(0.79 - 0.04 * share, y, 0.86 + 0.08 * share, y + 0.007, (138, 96, 60))
