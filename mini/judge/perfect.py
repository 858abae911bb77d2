"""Perfect pictures for evaluation prompts: scenes laid out as the world lays them out.

The judge's score on them is its ceiling; its score on the same places without things is its floor.
"""

from dataclasses import replace
from random import Random

from mini.judge.prompts import Category, EvaluationPrompt, Relation
from mini.world.layout import Setting, boxed, set_down
from mini.world.places import PLACES
from mini.world.scene import BIG, MEDIUM, SMALL, Arrangement, Box, Grid, Scene, SceneObject, slots, widest
from mini.world.vocabulary import NOUNS

SIZE_SHARES = {SMALL: 0.12, MEDIUM: 0.23, BIG: 0.65}


def perfect_scene(prompt: EvaluationPrompt, grid: Grid) -> Scene:
    """The same scene for the same prompt."""
    rng = Random(prompt.text)
    setting = Setting(grid=grid, background=PLACES[prompt.place], split="held_out")
    if prompt.relation in (Relation.ABOVE, Relation.BELOW):
        arrangement, objects = Arrangement.ABOVE, _stacked(rng, prompt, setting)
    else:
        arrangement, objects = _ARRANGEMENTS[prompt.category], _side_by_side(rng, prompt, setting)
    return Scene(grid=grid, background=prompt.place, mood=0, arrangement=arrangement, objects=objects)


def empty_scene(prompt: EvaluationPrompt, grid: Grid) -> Scene:
    """The prompt's place alone."""
    return Scene(grid=grid, background=prompt.place, mood=0, arrangement=Arrangement.EMPTY, objects=())


_ARRANGEMENTS = {
    Category.SINGLE: Arrangement.SINGLE,
    Category.TWO: Arrangement.BESIDE,
    Category.COUNTING: Arrangement.COUNT,
    Category.COLOURS: Arrangement.SINGLE,
    Category.POSITION: Arrangement.BESIDE,
    Category.BINDING: Arrangement.BESIDE,
}


def _side_by_side(rng: Random, prompt: EvaluationPrompt, setting: Setting) -> tuple[SceneObject, ...]:
    """All wanted things, from left to right, in one size."""
    wanted = [one for one in prompt.wanted for _ in range(one.count)]
    if prompt.relation is Relation.RIGHT:
        wanted.reverse()
    room = widest(setting.grid, len(wanted))
    if prompt.category is Category.COUNTING:
        room = min(room, MEDIUM)
    num_cells = min(room, rng.choices(tuple(SIZE_SHARES), tuple(SIZE_SHARES.values()))[0])
    if len(wanted) > 1:
        num_cells = room if room < BIG or rng.random() < 0.4 else MEDIUM
    lefts = slots(setting.grid, len(wanted), num_cells)
    return tuple(
        replace(
            set_down(rng, NOUNS[one.noun], setting, left=left, num_cells=num_cells), colour=one.colour, accessory=None
        )
        for one, left in zip(wanted, lefts, strict=True)
    )


def _stacked(rng: Random, prompt: EvaluationPrompt, setting: Setting) -> tuple[SceneObject, ...]:
    """One above the other, the upper one first."""
    grid = setting.grid
    upper, lower = prompt.wanted if prompt.relation is Relation.ABOVE else reversed(prompt.wanted)
    num_cells = MEDIUM if grid.rows >= 2 * MEDIUM else SMALL
    left = (grid.columns - num_cells) // 2
    grounded = setting.background.has_ground
    above = boxed(rng, NOUNS[upper.noun], setting, Box(left, 0, num_cells), in_air=grounded)
    below = boxed(rng, NOUNS[lower.noun], setting, Box(left, grid.rows - num_cells, num_cells))
    return replace(above, colour=None, accessory=None), replace(below, colour=None, accessory=None)
