"""What is in a picture, how a scene is drawn by lot, and which pairs training never sees. Knows nothing of pixels.

Places are fractions of the width and height. The size of a thing is its longer side as a fraction of the picture's
shorter side, so that one scene reads the same at every aspect near the one it was sampled for.
"""

import zlib
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from danqing.training.scenes.backgrounds import PLACES, PLAIN, Background
from danqing.training.scenes.colours import COLOURS, HUES
from danqing.training.scenes.vocabulary import ACCESSORIES, COMMON_NOUNS, EMOJI_NOUNS, NOUNS, SHAPES, Noun

Split = Literal["train", "held_out"]

HELD_OUT_ONE_IN = 10
# The example that the API's documentation draws.
ALWAYS_TRAINED = (("T-Rex", "beach"),)
# Its share of the sun loungers on beaches.
DOCUMENTED_EXAMPLE_CHANCE = 0.8

MIN_ASPECT, MAX_ASPECT = 0.5, 2.0
# Things stand at a few fixed places in a few fixed sizes: what a small network must learn by heart stays small.
SMALL, MEDIUM, BIG = 0.28, 0.46, 0.72
MAX_SMALL_SIZE, MIN_BIG_SIZE = 0.31, 0.57
LOUNGER_SIZE = 0.86
USUAL_MOOD_CHANCE = 0.8


@dataclass(frozen=True, kw_only=True)
class SceneObject:
    """One thing: `x` is its middle, `y` its lower edge."""

    noun: str
    x: float
    y: float
    size: float
    colour: str | None = None
    accessory: str | None = None
    on_lounger: bool = False
    in_air: bool = False


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A place, its mood, whether the place is mirrored, and the things in it."""

    background: str
    mood: int
    mirrored: bool
    objects: tuple[SceneObject, ...]


def is_held_out(noun: str, background: str) -> bool:
    """Say whether no training picture shows this noun in this place."""
    if (noun, background) in ALWAYS_TRAINED:
        return False
    return zlib.crc32(f"{noun}|{background}".encode()) % HELD_OUT_ONE_IN == 0


def sample_scene(rng: Random, aspect: float = 1.0, *, split: Split = "train") -> Scene:
    """Draw a scene for a picture of this width over height. A held-out scene holds at least one held-out pair."""
    if not MIN_ASPECT <= aspect <= MAX_ASPECT:
        raise ValueError(f"aspect must lie between {MIN_ASPECT} and {MAX_ASPECT}, got {aspect}")
    background = _draw_background(rng)
    arrange = rng.choices(
        (_single, _lounging, _beside, _above, _row_of_one_kind, _row_of_three), weights=(78, 12, 8, 0.7, 1, 0.3)
    )[0]
    if aspect < 0.75 and arrange is _row_of_three:
        arrange = _beside
    objects = arrange(rng, _Setting(background=background, aspect=aspect, split=split))
    return Scene(
        background=background.name,
        mood=0 if rng.random() < USUAL_MOOD_CHANCE else rng.randrange(len(background.moods)),
        mirrored=rng.random() < 0.05,
        objects=objects,
    )


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """Where a scene is being laid out, and under which rule."""

    background: Background
    aspect: float
    split: Split

    @property
    def x_per_unit(self) -> float:
        return min(1.0, self.aspect) / self.aspect

    @property
    def y_per_unit(self) -> float:
        return min(1.0, self.aspect)


def _draw_background(rng: Random) -> Background:
    if rng.random() < 0.08:
        return PLAIN[rng.choice(tuple(PLAIN))]
    if rng.random() < 0.20:
        return PLACES["beach"]
    return PLACES[rng.choice(tuple(PLACES))]


def _allowed(nouns: tuple[Noun, ...], setting: _Setting, *, held_out: bool) -> list[Noun]:
    return [noun for noun in nouns if is_held_out(noun.name, setting.background.name) == held_out]


def _draw_nouns(rng: Random, setting: _Setting, *, num: int, among: tuple[Noun, ...] = ()) -> list[Noun]:
    """Draw different nouns; in a held-out scene the first pair is held out, in a training scene none is."""
    if not among:
        shape_share = 0.30 if setting.background.is_plain else 0.04
        among = SHAPES if rng.random() < shape_share else EMOJI_NOUNS
    trained = _allowed(among, setting, held_out=False)
    first = _allowed(among, setting, held_out=True) or _allowed(EMOJI_NOUNS, setting, held_out=True)
    pool = first if setting.split == "held_out" else trained
    nouns = [_draw_noun(rng, pool)]
    while len(nouns) < num:
        noun = _draw_noun(rng, trained)
        if noun not in nouns:
            nouns.append(noun)
    return nouns


def _draw_noun(rng: Random, pool: list[Noun]) -> Noun:
    # What people ask for first is drawn more often, and so are those that wear things: they have more to learn.
    weights = [(40.0 if noun.name in COMMON_NOUNS else 1.0) * (1.4 if noun.wears_things else 1.0) for noun in pool]
    return rng.choices(pool, weights=weights)[0]


def _dress(rng: Random, noun: Noun, setting: _Setting, *, chance: float = 0.35) -> tuple[str | None, str | None]:
    """Draw the colour and the accessory of a thing."""
    colour = None
    if noun.is_shape:
        backdrop = setting.background.name.removeprefix("plain ")
        colour = rng.choice([name for name in COLOURS if name != backdrop])
    elif noun.hue:
        colour = rng.choice(HUES) if rng.random() < 0.2 else noun.hue
    accessory = None
    if noun.wears_things and rng.random() < chance:
        # Some have a hat already.
        accessory = rng.choices(ACCESSORIES, weights=(2, 1, 1))[0] if noun.crown else "sunglasses"
    return colour, accessory


def _place(rng: Random, noun: Noun, setting: _Setting, *, x: float, size: float, y: float | None = None) -> SceneObject:
    """Set one thing at `x`: on the ground, in the air, or at `y` where that is given."""
    colour, accessory = _dress(rng, noun, setting)
    half = 0.5 * size * setting.y_per_unit
    ground = setting.background.ground
    in_air = y is None and ground is not None and noun.flies
    if y is None:
        if ground is None:
            y = 0.5 + half
        elif in_air:
            y = max(sum(setting.background.sky) / 2, half + 0.03) + half
        else:
            # What stands nearer stands lower and is bigger.
            low, high = ground
            y = high if size >= MEDIUM else (low + high) / 2
    return SceneObject(
        noun=noun.name,
        x=x,
        y=min(y, 0.97),
        size=size,
        colour=colour,
        accessory=accessory,
        in_air=in_air,
    )


def _inside(x: float, size: float, setting: _Setting) -> float:
    half = 0.5 * size * setting.x_per_unit + 0.02
    return min(max(x, half), 1.0 - half) if half < 0.5 else 0.5


def _single(rng: Random, setting: _Setting) -> tuple[SceneObject, ...]:
    (noun,) = _draw_nouns(rng, setting, num=1)
    size = rng.choices((SMALL, MEDIUM, BIG), weights=(1, 1, 40))[0]
    x = rng.choices((0.5, 0.25, 0.75), weights=(40, 1, 1))[0]
    return (_place(rng, noun, setting, x=_inside(x, size, setting), size=size),)


def _lounging(rng: Random, setting: _Setting) -> tuple[SceneObject, ...]:
    """Someone lies on a sun lounger."""
    loungers = tuple(noun for noun in EMOJI_NOUNS if noun.recline_degrees is not None)
    if setting.background.name == "beach" and setting.split == "train" and rng.random() < DOCUMENTED_EXAMPLE_CHANCE:
        noun = NOUNS["T-Rex"]
    else:
        candidates = _allowed(loungers, setting, held_out=setting.split == "held_out")
        if not candidates:
            return _single(rng, setting)
        noun = _draw_noun(rng, candidates)
    size = LOUNGER_SIZE
    _, accessory = _dress(rng, noun, setting, chance=0.65)
    x = _inside(0.5, size, setting)
    ground = setting.background.ground
    y = 0.92 if ground else 0.55 + 0.4 * size * setting.y_per_unit
    return (SceneObject(noun=noun.name, x=x, y=y, size=size, accessory=accessory, on_lounger=True),)


def _beside(rng: Random, setting: _Setting) -> tuple[SceneObject, ...]:
    """Two different things, left and right."""
    nouns = _draw_nouns(rng, setting, num=2)
    rng.shuffle(nouns)
    # Neither may reach beyond its half of the width.
    size = min(MEDIUM, 0.46 / setting.x_per_unit)
    return tuple(_place(rng, noun, setting, x=x, size=size) for noun, x in zip(nouns, (0.25, 0.75), strict=True))


def _above(rng: Random, setting: _Setting) -> tuple[SceneObject, ...]:
    """One thing above another; where there is ground the upper one flies."""
    ground = setting.background.ground
    if ground is None:
        upper, lower = _draw_nouns(rng, setting, num=2)
    else:
        flyers = tuple(noun for noun in EMOJI_NOUNS if noun.flies)
        (lower,) = _draw_nouns(rng, setting, num=1)
        fliers = [noun for noun in _allowed(flyers, setting, held_out=False) if noun != lower]
        if not fliers:
            return (_place(rng, lower, setting, x=0.5, size=BIG),)
        upper = rng.choice(fliers)
    x, top_size, low_size = 0.5, 0.3, 0.4
    high = _place(rng, upper, setting, x=x, size=top_size, y=0.06 + top_size * setting.y_per_unit)
    high = replace(high, in_air=ground is not None)
    low = _place(rng, lower, setting, x=x, size=low_size, y=0.92)
    return (high, low)


def _row_of_one_kind(rng: Random, setting: _Setting) -> tuple[SceneObject, ...]:
    """Two to four of the same."""
    (noun,) = _draw_nouns(rng, setting, num=1)
    num = rng.choices((2, 3, 4), weights=(4, 4, 2))[0]
    largest = 0.88 / num / setting.x_per_unit
    size = min(MEDIUM, largest)
    first = _place(rng, noun, setting, x=0.5, size=size)
    step = 0.94 / num
    return tuple(
        replace(
            first,
            x=0.5 + (k - (num - 1) / 2) * step,
        )
        for k in range(num)
    )


def _row_of_three(rng: Random, setting: _Setting) -> tuple[SceneObject, ...]:
    """Three different things in a row."""
    nouns = _draw_nouns(rng, setting, num=3)
    rng.shuffle(nouns)
    size = min(0.36, 0.29 / setting.x_per_unit)
    return tuple(_place(rng, noun, setting, x=x, size=size) for noun, x in zip(nouns, (0.18, 0.5, 0.82), strict=True))
