"""Sprites: emoji from the font, shapes, accessories, supports and the sun lounger.

A sprite is an RGBA image cropped to its content; `MASTER_PX` is its longer side before the renderer scales it.
"""

import colorsys
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from mini.world.colours import COLOURS, RGB
from mini.world.noun import Noun
from mini.world.things import SUPPORTS
from mini.world.vocabulary import NOUNS

MASTER_PX = 416
NUM_CACHED_SPRITES = 512

# The one size at which the font holds its bitmaps.
EMOJI_FONT_SIZE = 109
EMOJI_FONT_NAME = "NotoColorEmoji.ttf"
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts", "~/Library/Fonts")

# The bitmaps are 136 pixels wide: enlarged this often, then sharpened, then reduced to the master size.
ENLARGEMENT = 4
NUM_SHARPENINGS = 3

HUE_TOLERANCE = 44  # Of 256 around the colour wheel: a painted part and its shaded rim.

LOUNGER_SIZE = (1000, 500)
HEAD_ROOM = 400  # Above the lounger, for the creature on it.
SEAT_Y = 345
WOOD, DARK_WOOD = (184, 120, 68), (142, 88, 48)
MAT, STRIPE = (48, 148, 216), (244, 248, 252)


class EmojiFontMissing(RuntimeError):
    """The emoji font is not installed. On Debian and Ubuntu: apt install fonts-noto-color-emoji."""

    def __init__(self) -> None:
        super().__init__(f"{EMOJI_FONT_NAME} not found in {', '.join(FONT_FOLDERS)}. {type(self).__doc__}")


@lru_cache(maxsize=1)
def emoji_font() -> ImageFont.FreeTypeFont:
    for folder in FONT_FOLDERS:
        for path in sorted(Path(folder).expanduser().rglob(EMOJI_FONT_NAME)):
            return ImageFont.truetype(path, EMOJI_FONT_SIZE)
    raise EmojiFontMissing


@lru_cache(maxsize=NUM_CACHED_SPRITES)
def sprite(name: str, *, colour: str | None, accessory: str | None, on_lounger: bool) -> Image.Image:
    """Return the finished thing. The image is shared: never painted on."""
    noun = NOUNS[name]
    if noun in SUPPORTS:
        image = support(name)
    elif noun.is_shape:
        image = shape(name, COLOURS[colour or "red"])
    else:
        image = emoji(noun.glyph)
        if colour and noun.hue:
            image = _repainted(image, hue_from=COLOURS[noun.hue], hue_to=COLOURS[colour])
        elif colour:
            image = _tinted(image, COLOURS[colour])
    if accessory:
        image = _dressed(image, noun, accessory)
    if on_lounger:
        image = _reclined(image, noun)
    return image


@lru_cache(maxsize=NUM_CACHED_SPRITES)
def emoji(glyph: str) -> Image.Image:
    """Return the glyph enlarged to the master size with crisp edges, cropped to its tight box."""
    tile = Image.new("RGBA", (180, 160))
    ImageDraw.Draw(tile).text((12, 12), glyph, font=emoji_font(), embedded_color=True)
    tile = tile.crop(tile.getbbox())
    margin = ImageOps.expand(tile, 2)
    size = (margin.width * ENLARGEMENT, margin.height * ENLARGEMENT)
    colour = _bled(margin).resize(size, Image.Resampling.BICUBIC)
    for _ in range(NUM_SHARPENINGS):
        colour = _toggled(colour)
    # The font's outlines are dithered: blurred first and then cut at one half, they become smooth.
    alpha = margin.getchannel("A").resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(3))
    alpha = alpha.point(lambda value: min(255, max(0, 128 + 5 * (value - 128))))
    colour.putalpha(alpha)
    return _fitted(colour.crop(alpha.getbbox()))


def _bled(image: Image.Image) -> Image.Image:
    """Return the colours with those of the rim carried outwards, so that no black mixes into an edge."""
    inner = image.getchannel("A").filter(ImageFilter.MinFilter(3)).point(lambda alpha: 255 if alpha > 200 else 0)
    result = Image.new("RGB", image.size)
    for alpha, radius in ((image.getchannel("A"), 2.0), (inner, 1.2)):
        source = image.copy()
        source.putalpha(alpha)
        carried = source.convert("RGBa").filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        result.paste(
            carried.convert("RGB"), (0, 0), carried.getchannel("A").point(lambda alpha: 255 if alpha > 8 else 0)
        )
    result.paste(image.convert("RGB"), (0, 0), inner)
    return result


def _toggled(image: Image.Image) -> Image.Image:
    """Replace every value by the nearer of its local minimum and maximum: a blurred edge becomes a sharp one."""
    low = np.asarray(image.filter(ImageFilter.MinFilter(3))).astype(np.int16)
    high = np.asarray(image.filter(ImageFilter.MaxFilter(3))).astype(np.int16)
    values = np.asarray(image).astype(np.int16)
    return Image.fromarray(np.where(values - low < high - values, low, high).astype(np.uint8))


def _fitted(image: Image.Image) -> Image.Image:
    scale = MASTER_PX / max(image.size)
    return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BOX)


@lru_cache(maxsize=NUM_CACHED_SPRITES)
def shape(name: str, colour: RGB) -> Image.Image:
    """Return a simple shape of one flat colour."""
    side = MASTER_PX * 2
    image = Image.new("RGBA", (side, side), (*colour, 0))
    draw = ImageDraw.Draw(image)
    if name == "circle":
        draw.ellipse((0, 0, side - 1, side - 1), fill=colour)
    else:
        draw.polygon([(x * side, y * side) for x, y in _outline(name)], fill=colour)
    return _fitted(image.crop(image.getbbox()))


def _outline(name: str) -> list[tuple[float, float]]:
    if name == "square":
        return [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    if name == "triangle":
        return [(0.5, 0.0), (1.0, 0.87), (0.0, 0.87)]
    if name == "diamond":
        return [(0.5, 0.0), (0.88, 0.5), (0.5, 1.0), (0.12, 0.5)]
    if name == "star":
        spikes = [(0.5 if k % 2 == 0 else 0.21, math.pi * (k / 5 - 0.5)) for k in range(10)]
        return [(0.5 + r * math.cos(a), 0.5 + r * math.sin(a)) for r, a in spikes]
    turns = np.linspace(0.0, 2 * math.pi, 90)
    hearts = (13 * np.cos(turns) - 5 * np.cos(2 * turns) - 2 * np.cos(3 * turns) - np.cos(4 * turns)) / 34
    return [(0.5 + 0.47 * math.sin(t) ** 3, 0.45 - h) for t, h in zip(turns, hearts, strict=True)]


@lru_cache(maxsize=8)
def support(name: str) -> Image.Image:
    """Return a support: a square whose upper edge is the surface."""
    side = MASTER_PX
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    if name == "table":
        for x in (0.10, 0.80):
            draw.rectangle((x * side, 0.1 * side, (x + 0.10) * side, side), fill=DARK_WOOD)
        draw.rectangle((0.14 * side, 0.30 * side, 0.86 * side, 0.38 * side), fill=DARK_WOOD)
        draw.rounded_rectangle((0, 0, side - 1, 0.14 * side), radius=0.03 * side, fill=WOOD)
        return image
    draw.rectangle((0, 0, side - 1, side - 1), fill=WOOD)
    for y in (0.34, 0.66):
        draw.rectangle((0, (y - 0.01) * side, side, (y + 0.01) * side), fill=DARK_WOOD)
    draw.line((0.06 * side, 0.94 * side, 0.94 * side, 0.06 * side), fill=DARK_WOOD, width=round(0.09 * side))
    draw.rectangle((0, 0, side - 1, side - 1), outline=DARK_WOOD, width=round(0.07 * side))
    return image


def _tinted(image: Image.Image, colour: RGB) -> Image.Image:
    """Replace every colour by a shade of one, as dark and light as it was."""
    grey = np.asarray(image.convert("L"), np.float32)[..., None] / 255
    pure = np.array(colour, np.float32)
    dark, light = 0.28 * pure, pure + 0.45 * (255 - pure)
    tinted = Image.fromarray(np.clip(dark + (light - dark) * grey, 0, 255).astype(np.uint8))
    tinted.putalpha(image.getchannel("A"))
    return tinted


def _repainted(image: Image.Image, *, hue_from: RGB, hue_to: RGB) -> Image.Image:
    """Move the strongly coloured parts near `hue_from` to the other colour, keeping their shades."""
    if hue_from == hue_to:
        return image
    source, target = (np.array(colorsys.rgb_to_hsv(*(c / 255 for c in colour))) * 255 for colour in (hue_from, hue_to))
    pixels = np.array(image.convert("RGB").convert("HSV"))
    distance = np.abs((pixels[..., 0].astype(np.int16) - round(source[0]) + 128) % 256 - 128)
    painted = (distance < HUE_TOLERANCE) & (pixels[..., 1] > 60)
    pixels[painted, 0] = round(target[0])
    pixels[painted, 1:] = np.minimum(255, pixels[painted, 1:] * (target[1:] / source[1:]))
    turned = Image.fromarray(pixels, "HSV").convert("RGB")
    turned.putalpha(image.getchannel("A"))
    return turned


def _dressed(image: Image.Image, noun: Noun, accessory: str) -> Image.Image:
    """Put sunglasses before the eyes, or a hat or crown on the head."""
    anchor = noun.eyes if accessory == "sunglasses" else noun.crown
    if anchor is None:
        raise ValueError(f"a {noun.name} cannot wear {accessory}")
    worn = emoji({"sunglasses": "🕶", "hat": "🎩", "crown": "👑"}[accessory])
    x, y, width = anchor
    scale = width * image.width / worn.width
    worn = worn.resize((round(worn.width * scale), round(worn.height * scale)), Image.Resampling.BOX)
    left = round(x * image.width - worn.width / 2)
    # A hat sinks a little so that it sits on the head, not above it.
    top = round(y * image.height - worn.height * (0.5 if accessory == "sunglasses" else 0.88))
    margin = MASTER_PX // 2
    canvas = Image.new("RGBA", (image.width + 2 * margin, image.height + 2 * margin))
    canvas.paste(image, (margin, margin))
    canvas.alpha_composite(worn, (left + margin, top + margin))
    return canvas.crop(canvas.getbbox())


def _reclined(image: Image.Image, noun: Noun) -> Image.Image:
    """Lean the creature back and lay it on a sun lounger whose raised end is on the right."""
    if noun.recline_degrees is None:
        raise ValueError(f"a {noun.name} cannot lie on a sun lounger")
    width, height = LOUNGER_SIZE
    canvas = Image.new("RGBA", (width, height + HEAD_ROOM))
    canvas.alpha_composite(_lounger_back(), (0, HEAD_ROOM))
    leaned = image.rotate(-noun.recline_degrees, Image.Resampling.BICUBIC, expand=True)
    leaned = leaned.crop(leaned.getbbox())
    scale = min(740 / leaned.width, 660 / leaned.height)
    leaned = leaned.resize((round(leaned.width * scale), round(leaned.height * scale)), Image.Resampling.BICUBIC)
    left = min(round(0.58 * width - leaned.width / 2), width - 60 - leaned.width)
    canvas.alpha_composite(leaned, (left, HEAD_ROOM + SEAT_Y + 36 - leaned.height))
    canvas.alpha_composite(_lounger_seat(), (0, HEAD_ROOM))
    return _fitted(canvas.crop(canvas.getbbox()))


def _lounger_back() -> Image.Image:
    """The legs and the raised end of the lounger seen from the side: a striped mat over wood."""
    image = Image.new("RGBA", (LOUNGER_SIZE[0] * 2, LOUNGER_SIZE[1] * 2))
    draw = ImageDraw.Draw(image)
    for x in (180, 1180):
        draw.rounded_rectangle((x, 2 * SEAT_Y + 60, x + 56, 2 * LOUNGER_SIZE[1] - 10), radius=12, fill=DARK_WOOD)
    draw.line((1660, 330, 1560, 2 * LOUNGER_SIZE[1] - 10), fill=DARK_WOOD, width=48)
    start, slope = (1220, 2 * SEAT_Y + 40), (680, -640)
    draw.line((*start, start[0] + slope[0], start[1] + slope[1]), fill=WOOD, width=150)
    for k in range(8):
        from_x, from_y = start[0] + slope[0] * k / 8, start[1] - 24 + slope[1] * k / 8
        ink = MAT if k % 2 == 0 else STRIPE
        draw.line((from_x, from_y, from_x + slope[0] / 8 + 2, from_y + slope[1] / 8 - 2), fill=ink, width=112)
    return image.resize(LOUNGER_SIZE, Image.Resampling.BOX)


def _lounger_seat() -> Image.Image:
    """The seat, which covers the creature's lower edge."""
    image = Image.new("RGBA", (LOUNGER_SIZE[0] * 2, LOUNGER_SIZE[1] * 2))
    draw = ImageDraw.Draw(image)
    top = 2 * SEAT_Y
    draw.rounded_rectangle((40, top, 1290, top + 92), radius=46, fill=MAT)
    for k in range(6):
        draw.rectangle((130 + 190 * k, top, 225 + 190 * k, top + 91), fill=STRIPE)
    draw.rounded_rectangle((70, top + 86, 1620, top + 140), radius=20, fill=WOOD)
    return image.resize(LOUNGER_SIZE, Image.Resampling.BOX)
