"""Sampled scenes: which things, where they stand, how they are dressed.

Training scenes never show a held-out pair. A held-out scene shows at least one: its first thing and its place.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from mini.world.colours import COLOURS, HUES
from mini.world.noun import Noun
from mini.world.places import PLACES, PLAIN, Background
from mini.world.scene import (
    BIG,
    MEDIUM,
    SMALL,
    Arrangement,
    Box,
    Grid,
    Scene,
    SceneObject,
    Split,
    Style,
    is_held_out,
    slots,
    widest,
)
from mini.world.signs import MAX_LETTERS, sample_word
from mini.world.things import SHAPES, SUPPORTS
from mini.world.vocabulary import ACCESSORIES, COMMON_NOUNS, EMOJI_NOUNS, NOUNS

PLAIN_CHANCE = 0.12
BEACH_CHANCE = 0.12
USUAL_MOOD_CHANCE = 0.7
STYLE_CHANCE = 0.20
COLOUR_CHANCE = 0.35
ACCESSORY_CHANCE = 0.45
LOUNGER_CHANCE = 0.20
MIN_ROOM_FOR_LETTERS = 3
# Of the loungers on beaches, the documented example's share.
DOCUMENTED_EXAMPLE_CHANCE = 0.5
COMMON_WEIGHT, SHAPE_WEIGHT = 3.0, 3.0


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The grid and background of a scene, and the split it belongs to."""

    grid: Grid
    background: Background
    split: Split


def sample_scene(rng: Random, grid: Grid, *, split: Split = "train") -> Scene:
    """Sample a scene for a picture of this many cells."""
    arrangement = rng.choices(tuple(_WEIGHTS), tuple(_WEIGHTS.values()))[0]
    return arrange(rng, arrangement, Setting(grid=grid, background=sample_background(rng), split=split))


def arrange(rng: Random, arrangement: Arrangement, setting: Setting) -> Scene:
    """Sample a scene of this kind; if the grid is too small for it, one thing alone."""
    objects = _ARRANGERS[arrangement](rng, setting)
    word = ""
    if objects is None:
        arrangement = Arrangement.SINGLE
        objects = _single(rng, setting)
    if arrangement is Arrangement.SIGN:
        word = sample_word(rng, longest=_room_for_letters(setting.grid))
    moods = len(setting.background.moods)
    return Scene(
        grid=setting.grid,
        background=setting.background.name,
        mood=0 if rng.random() < USUAL_MOOD_CHANCE else rng.randrange(moods),
        arrangement=arrangement,
        objects=objects,
        style=rng.choice(tuple(Style)) if rng.random() < STYLE_CHANCE else Style.FLAT,
        word=word,
    )


def sample_background(rng: Random) -> Background:
    """Sample a place or a plain colour."""
    if rng.random() < PLAIN_CHANCE:
        return PLAIN[rng.choice(tuple(PLAIN))]
    if rng.random() < BEACH_CHANCE:
        return PLACES["beach"]
    return PLACES[rng.choice(tuple(PLACES))]


def sample_nouns(
    rng: Random, setting: Setting, *, num: int, fits: Callable[[Noun], bool] = lambda _: True
) -> list[Noun]:
    """Sample different nouns; in a held-out scene the first is held out in this place, the others are not.

    The first is one that `fits`, if there is any.
    """
    pool = SHAPES + EMOJI_NOUNS if setting.background.is_plain or rng.random() < 0.15 else EMOJI_NOUNS
    place = setting.background.name
    trained = [noun for noun in pool if not is_held_out(noun.name, place)]
    first = [noun for noun in pool if is_held_out(noun.name, place)] if setting.split == "held_out" else trained
    suitable = [noun for noun in first if fits(noun)]
    nouns = [_sample_noun(rng, suitable or first)]
    while len(nouns) < num:
        noun = _sample_noun(rng, trained)
        if noun not in nouns:
            nouns.append(noun)
    return nouns


def _sample_noun(rng: Random, pool: list[Noun]) -> Noun:
    weights = [COMMON_WEIGHT if noun.name in COMMON_NOUNS else SHAPE_WEIGHT if noun.is_shape else 1.0 for noun in pool]
    return rng.choices(pool, weights=weights)[0]


def dress(
    rng: Random, noun: Noun, setting: Setting, *, accessory_chance: float = ACCESSORY_CHANCE
) -> tuple[str | None, str | None]:
    """Sample the colour and the accessory of a thing."""
    colour = accessory = None
    if noun.is_shape or rng.random() < COLOUR_CHANCE:
        backdrop = setting.background.name.removeprefix("plain ")
        among = HUES if noun.hue else tuple(COLOURS)
        colour = rng.choice([c for c in among if c != backdrop and not is_held_out(noun.name, c)])
    elif noun.wears_things and rng.random() < accessory_chance:
        # Some glyphs have a hat already.
        wearable = ACCESSORIES if noun.crown else ACCESSORIES[:1]
        worn = [name for name in wearable if not is_held_out(noun.name, name)]
        accessory = rng.choice(worn) if worn else None
    return colour, accessory


def set_down(rng: Random, noun: Noun, setting: Setting, *, left: int, num_cells: int) -> SceneObject:
    """Set one thing into these columns: on the ground, in the air, or half way up if there is no ground."""
    grid = setting.grid
    in_air = False
    if not setting.background.has_ground:
        top = (grid.rows - num_cells) // 2
    elif noun.flies:
        top, in_air = (grid.rows - num_cells) // 2 if num_cells >= BIG else 0, True
    else:
        top = grid.rows - num_cells
    return boxed(rng, noun, setting, Box(left, top, num_cells), in_air=in_air)


def boxed(rng: Random, noun: Noun, setting: Setting, box: Box, *, in_air: bool = False) -> SceneObject:
    """Set one thing into a box, with sampled colour and accessory."""
    colour, accessory = dress(rng, noun, setting)
    return SceneObject(noun=noun.name, box=box, colour=colour, accessory=accessory, in_air=in_air)


def _empty(_rng: Random, setting: Setting) -> tuple[SceneObject, ...] | None:
    """The place alone, which is never held out."""
    return () if setting.split == "train" else None


def _single(rng: Random, setting: Setting) -> tuple[SceneObject, ...]:
    if rng.random() < LOUNGER_CHANCE and not setting.background.is_plain:
        return _lounging(rng, setting)
    (noun,) = sample_nouns(rng, setting, num=1)
    num_cells = setting.grid.fitting(rng.choices((SMALL, MEDIUM, BIG), weights=(0.08, 0.17, 0.75))[0])
    spare = setting.grid.columns - num_cells
    left = rng.choices((spare // 2, (spare + 1) // 2, 0, spare), weights=(0.35, 0.35, 0.15, 0.15))[0]
    return (set_down(rng, noun, setting, left=left, num_cells=num_cells),)


def _lounging(rng: Random, setting: Setting) -> tuple[SceneObject, ...]:
    """A creature on a sun lounger."""
    if setting.background.name == "beach" and setting.split == "train" and rng.random() < DOCUMENTED_EXAMPLE_CHANCE:
        noun = NOUNS["T-Rex"]
    else:
        (noun,) = sample_nouns(rng, setting, num=1, fits=lambda noun: noun.recline_degrees is not None)
    if noun.recline_degrees is None:
        return (set_down(rng, noun, setting, left=0, num_cells=setting.grid.fitting(BIG)),)
    grid = setting.grid
    num_cells = grid.fitting(BIG + 1)
    _, accessory = dress(rng, noun, setting, accessory_chance=0.65)
    box = Box((grid.columns - num_cells) // 2, grid.rows - num_cells, num_cells)
    return (SceneObject(noun=noun.name, box=box, accessory=accessory, on_lounger=True),)


def _beside(rng: Random, setting: Setting) -> tuple[SceneObject, ...] | None:
    return _side_by_side(rng, setting, num=2)


def _row(rng: Random, setting: Setting) -> tuple[SceneObject, ...] | None:
    return _side_by_side(rng, setting, num=3)


def _side_by_side(rng: Random, setting: Setting, *, num: int) -> tuple[SceneObject, ...] | None:
    """Different things, from left to right."""
    num_cells = widest(setting.grid, num)
    if num_cells == 0:
        return None
    if num_cells == BIG and rng.random() < 0.6:
        num_cells = MEDIUM
    nouns = sample_nouns(rng, setting, num=num)
    rng.shuffle(nouns)
    lefts = slots(setting.grid, num, num_cells)
    return tuple(
        set_down(rng, noun, setting, left=left, num_cells=num_cells) for noun, left in zip(nouns, lefts, strict=True)
    )


def _count(rng: Random, setting: Setting) -> tuple[SceneObject, ...] | None:
    """Two to four of the same."""
    num = rng.randint(2, 4)
    num_cells = min(widest(setting.grid, num), MEDIUM)
    if num_cells == 0:
        return None
    (noun,) = sample_nouns(rng, setting, num=1)
    lefts = slots(setting.grid, num, num_cells)
    first = set_down(rng, noun, setting, left=lefts[0], num_cells=num_cells)
    return tuple(
        SceneObject(
            noun=first.noun,
            box=Box(left, first.box.top, num_cells),
            colour=first.colour,
            accessory=first.accessory,
            in_air=first.in_air,
        )
        for left in lefts
    )


def _above(rng: Random, setting: Setting) -> tuple[SceneObject, ...] | None:
    """One thing above another; over ground, the upper one flies."""
    grid = setting.grid
    num_cells = MEDIUM if grid.rows >= 2 * MEDIUM else SMALL
    if grid.rows < 2 * num_cells or grid.columns < num_cells:
        return None
    grounded = setting.background.has_ground
    upper, lower = sample_nouns(rng, setting, num=2, fits=lambda noun: noun.flies or not grounded)
    if grounded and not upper.flies:
        return None
    left = (grid.columns - num_cells) // 2
    return (
        boxed(rng, upper, setting, Box(left, 0, num_cells), in_air=grounded),
        boxed(rng, lower, setting, Box(left, grid.rows - num_cells, num_cells)),
    )


def _on(rng: Random, setting: Setting) -> tuple[SceneObject, ...] | None:
    """A thing on a table or a box, whichever training shows in this place."""
    grid = setting.grid
    if grid.rows < 2 * MEDIUM or grid.columns < MEDIUM or not setting.background.has_ground:
        return None
    supports = [noun.name for noun in SUPPORTS if not is_held_out(noun.name, setting.background.name)]
    if not supports:
        return None
    (noun,) = sample_nouns(rng, setting, num=1)
    left = (grid.columns - MEDIUM) // 2
    support = SceneObject(noun=rng.choice(supports), box=Box(left, grid.rows - MEDIUM, MEDIUM))
    return (support, boxed(rng, noun, setting, Box(left, grid.rows - 2 * MEDIUM, MEDIUM)))


def _in_front(rng: Random, setting: Setting) -> tuple[SceneObject, ...] | None:
    """A small thing before a big one."""
    grid = setting.grid
    if grid.rows <= BIG or grid.columns < BIG:
        return None
    rear, front = sample_nouns(rng, setting, num=2)
    left = (grid.columns - BIG) // 2
    return (
        boxed(rng, rear, setting, Box(left, grid.rows - 1 - BIG, BIG)),
        boxed(rng, front, setting, Box(left + rng.choice((0, 3)), grid.rows - SMALL, SMALL)),
    )


def _sign(_rng: Random, setting: Setting) -> tuple[SceneObject, ...] | None:
    """A word on a board, alone; no pair of a noun and a place, so it is never held out."""
    return () if setting.split == "train" and _room_for_letters(setting.grid) >= MIN_ROOM_FOR_LETTERS else None


def _room_for_letters(grid: Grid) -> int:
    """The longest word whose board has its rim in the picture; on the narrowest grids half a cell must do."""
    return min(MAX_LETTERS, max(MIN_ROOM_FOR_LETTERS, grid.columns - 2), grid.columns - 1)


_ARRANGERS: dict[Arrangement, Callable[[Random, Setting], tuple[SceneObject, ...] | None]] = {
    Arrangement.EMPTY: _empty,
    Arrangement.SINGLE: _single,
    Arrangement.BESIDE: _beside,
    Arrangement.ABOVE: _above,
    Arrangement.ON: _on,
    Arrangement.IN_FRONT: _in_front,
    Arrangement.ROW: _row,
    Arrangement.COUNT: _count,
    Arrangement.SIGN: _sign,
}

_WEIGHTS: dict[Arrangement, float] = {
    Arrangement.EMPTY: 0.03,
    Arrangement.SINGLE: 0.36,
    Arrangement.BESIDE: 0.20,
    Arrangement.ABOVE: 0.09,
    Arrangement.ON: 0.04,
    Arrangement.IN_FRONT: 0.04,
    Arrangement.ROW: 0.05,
    Arrangement.COUNT: 0.13,
    Arrangement.SIGN: 0.06,
}
