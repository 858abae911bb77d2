"""Many training scenes, drawn once for all the tests that look for what must never happen."""

from random import Random

import pytest

from mini.train.recipe import GRID_SHARES
from mini.world.layout import sample_scene
from mini.world.scene import Scene

NUM_SCENES = 10_000


@pytest.fixture(scope="session")
def training_scenes() -> list[Scene]:
    """Of every grid alike."""
    rng, grids = Random(5), list(GRID_SHARES)
    return [sample_scene(rng, grids[k % len(grids)]) for k in range(NUM_SCENES)]
