"""The natural size follows what a scene shows."""

from random import Random

import pytest

from mini.world.layout import sample_scene
from mini.world.natural_size import LANDSCAPE, PORTRAIT, SQUARE, TALL, WIDE, natural_grid
from mini.world.scene import Arrangement, Box, Scene, SceneObject


def scene(arrangement: Arrangement, *nouns: str, on_lounger: bool = False, word: str = "") -> Scene:
    objects = tuple(SceneObject(noun=noun, box=Box(0, 0, 2), on_lounger=on_lounger) for noun in nouns)
    return Scene(grid=SQUARE, background="beach", mood=0, arrangement=arrangement, objects=objects, word=word)


@pytest.mark.usefixtures("emoji_font_installed")
@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (scene(Arrangement.EMPTY), WIDE),
        (scene(Arrangement.ROW, "dog", "cat", "car"), WIDE),
        (scene(Arrangement.COUNT, *["apple"] * 4), WIDE),
        (scene(Arrangement.COUNT, *["apple"] * 2), LANDSCAPE),
        (scene(Arrangement.BESIDE, "dog", "cat"), LANDSCAPE),
        (scene(Arrangement.SINGLE, "T-Rex", on_lounger=True), LANDSCAPE),
        (scene(Arrangement.SINGLE, "bus"), LANDSCAPE),
        (scene(Arrangement.SINGLE, "burger"), SQUARE),
        (scene(Arrangement.SINGLE, "Tokyo Tower"), PORTRAIT),
        (scene(Arrangement.ON, "table", "cake"), PORTRAIT),
        (scene(Arrangement.ABOVE, "bird", "house"), TALL),
        (scene(Arrangement.SIGN, word="OPEN"), SQUARE),
        (scene(Arrangement.SIGN, word="WELCOME"), WIDE),
    ],
)
def test_the_natural_size_follows_the_content(shown: Scene, expected: object) -> None:
    assert natural_grid(shown) == expected


@pytest.mark.usefixtures("emoji_font_installed")
def test_every_sampled_scene_has_a_natural_size() -> None:
    rng = Random(0)
    assert {natural_grid(sample_scene(rng, WIDE)) for _ in range(200)} == {WIDE, LANDSCAPE, SQUARE, PORTRAIT, TALL}
