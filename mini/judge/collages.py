"""The detector's training pictures: things pasted anywhere, at any size, on foreign backdrops, then distorted.

Only sprites are shared with the world. Distortions (softness, noise, changed light) resemble the flaws of generated
pictures.
"""

import io
import math
from dataclasses import dataclass
from functools import lru_cache
from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from mini.judge.backdrops import backdrop
from mini.world.colours import COLOURS, HUES
from mini.world.noun import Noun
from mini.world.sprites import sprite
from mini.world.things import SHAPES
from mini.world.vocabulary import ACCESSORIES, EMOJI_NOUNS, NOUNS

SIZE_PX = (320, 192)
MIN_THING_PX, MAX_THING_PX = 44, 186
NUM_TRIES = 24
# Of the smaller of two things' boxes.
MAX_OVERLAP = 0.2
COLOUR_CHANCE = 0.45
ACCESSORY_CHANCE = 0.15
TURN_CHANCE, MAX_TURN_DEGREES = 0.3, 8.0
OCCLUSION_CHANCE, SHADOW_CHANCE = 0.1, 0.4
NUM_CACHED_CUTOUTS = 4096

LABELS = tuple(noun.name for noun in EMOJI_NOUNS + SHAPES)
OWN_COLOUR = "own"
COLOUR_LABELS = (OWN_COLOUR, *COLOURS)


Box = tuple[float, float, float, float]  # Left, top, right, bottom.

TILE_PX = 32  # An image token on the detector's pictures: neighbouring tokens may disagree a little.


@dataclass(frozen=True)
class Thing:
    """A pasted thing: its middle and its longer side, in pixels."""

    noun: str
    colour: str
    x_px: float
    y_px: float
    side_px: float


def collage(rng: Random) -> tuple[Image.Image, list[Thing]]:
    """One picture and what it shows; the same for the same state of `rng`."""
    image = backdrop(rng, SIZE_PX)
    things: list[Thing] = []
    boxes: list[Box] = []
    for _ in range(NUM_TRIES):
        noun, colour, accessory = _sample_thing(rng)
        master = _master(noun.name, colour, accessory)
        scale = math.exp(rng.uniform(math.log(MIN_THING_PX), math.log(MAX_THING_PX))) / MAX_THING_PX
        width, height = (max(1, round(side * scale)) for side in master.size)
        left = rng.uniform(-0.06 * width, SIZE_PX[0] - 0.94 * width)
        top = rng.uniform(-0.06 * height, SIZE_PX[1] - 0.94 * height)
        box = (left, top, left + width, top + height)
        if any(_overlap(box, other) > MAX_OVERLAP for other in boxes):
            continue
        _paste(rng, image, master, box)
        boxes.append(box)
        label = colour or noun.hue or OWN_COLOUR
        things.append(Thing(noun.name, label, left + width / 2, top + height / 2, max(width, height)))
    return distorted(rng, image), things


def _sample_thing(rng: Random) -> tuple[Noun, str | None, str | None]:
    """Sample a noun, its colour if it is painted, and its accessory if any."""
    noun = NOUNS[rng.choice(LABELS)]
    colour = accessory = None
    if noun.is_shape or rng.random() < COLOUR_CHANCE:
        colour = rng.choice(HUES if noun.hue else tuple(COLOURS))
    if noun.wears_things and rng.random() < ACCESSORY_CHANCE:
        accessory = rng.choice(ACCESSORIES if noun.crown else ACCESSORIES[:1])
    return noun, colour, accessory


@lru_cache(maxsize=NUM_CACHED_CUTOUTS)
def _master(noun: str, colour: str | None, accessory: str | None) -> Image.Image:
    """The sprite at the largest size."""
    thing = sprite(noun, colour=colour, accessory=accessory, on_lounger=False)
    scale = MAX_THING_PX / max(thing.size)
    return thing.resize((round(thing.width * scale), round(thing.height * scale)), Image.Resampling.BOX)


def _overlap(one: Box, other: Box) -> float:
    """The share of the smaller box that lies in the other."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(0.0, width) * max(0.0, height) / smaller


def _paste(rng: Random, image: Image.Image, master: Image.Image, box: Box) -> None:
    """Set the thing down, sometimes leaning, sometimes with a shadow at its feet or something before it."""
    left, top, right, bottom = box
    draw = ImageDraw.Draw(image, "RGBA")
    if rng.random() < SHADOW_CHANCE:
        depth = 0.06 * (right - left)
        draw.ellipse((left, bottom - depth, right, bottom + depth), fill=(18, 20, 40, rng.randint(40, 110)))
    thing = master.resize((round(right - left), round(bottom - top)), Image.Resampling.BOX)
    if rng.random() < TURN_CHANCE:
        thing = thing.rotate(rng.uniform(-MAX_TURN_DEGREES, MAX_TURN_DEGREES), Image.Resampling.BILINEAR)
    image.paste(thing, (round(left), round(top)), thing)
    if rng.random() < OCCLUSION_CHANCE:
        x, y = rng.uniform(left, right), rng.uniform(top, bottom)
        reach = 0.2 * max(thing.size)
        ink = rng.randrange(256), rng.randrange(256), rng.randrange(256)
        draw.rectangle((x, y, x + reach * rng.random(), y + reach * rng.random()), fill=ink)


def distorted(rng: Random, image: Image.Image) -> Image.Image:
    """The picture softened, compressed, lit or made noisy, each at random."""
    pick = rng.random()
    if pick < 0.3:
        image = image.filter(ImageFilter.BoxBlur(rng.uniform(0.4, 1.6)))
    elif pick < 0.6:
        image = _coarse(rng, image)
    if rng.random() < 0.1:
        image = _compressed(rng, image)
    return _lit(rng, image) if rng.random() < 0.7 else image


def _coarse(rng: Random, image: Image.Image) -> Image.Image:
    """Reduced and enlarged again."""
    factor = rng.uniform(1.5, 3.5)
    small = image.resize((round(image.width / factor), round(image.height / factor)), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.BILINEAR)


def _compressed(rng: Random, image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=rng.randint(15, 70))
    return Image.open(file).convert("RGB")


def _lit(rng: Random, image: Image.Image) -> Image.Image:
    """Brightness, contrast and hue a little off; tokens unequal; noise."""
    noise = np.random.default_rng(rng.getrandbits(32))
    mixing = np.zeros((3, 4))
    mixing[:, :3] = np.eye(3) * rng.uniform(0.8, 1.15) + noise.normal(0, 0.035, (3, 3))
    mixing[:, 3] = 128 * (1 - mixing[:, :3].sum(1)) + rng.uniform(-18, 18)
    image = image.convert("RGB", tuple(mixing.flatten().tolist()))
    if rng.random() < 0.5:
        rows, columns = -(-image.height // TILE_PX), -(-image.width // TILE_PX)
        tiles = noise.normal(0, rng.uniform(2, 9), (rows, columns, 3)).astype(np.int16)
        shifts = tiles.repeat(TILE_PX, 0).repeat(TILE_PX, 1)[: image.height, : image.width]
        reach = rng.randint(1, 20)
        shifts = shifts + noise.integers(-reach, reach + 1, shifts.shape, np.int16)
        image = Image.fromarray(np.clip(np.asarray(image) + shifts, 0, 255).astype(np.uint8))
    return image
