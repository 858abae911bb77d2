"""Rendering: exact sizes, the same bytes for the same scene, and small pictures that match the large ones."""

from random import Random

import numpy as np
import pytest

from danqing.training.scenes.render import render
from danqing.training.scenes.scene import Scene, SceneObject, sample_scene
from danqing.training.scenes.sprites import sprite
from danqing.training.scenes.vocabulary import ACCESSORIES, NOUNS

pytestmark = pytest.mark.usefixtures("emoji_font_installed")


def _beach(*objects: SceneObject) -> Scene:
    return Scene(background="beach", mood=0, mirrored=False, objects=objects)


def _t_rex(**changes: object) -> SceneObject:
    return SceneObject(**{"noun": "T-Rex", "x": 0.5, "y": 0.9, "size": 0.7, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("width_px", "height_px"), [(512, 512), (640, 384), (384, 640), (576, 448), (256, 256)])
def test_the_picture_has_the_size_asked_for(width_px: int, height_px: int) -> None:
    picture = render(sample_scene(Random(1), width_px / height_px), width_px, height_px)
    assert picture.shape == (height_px, width_px, 3)
    assert picture.dtype == np.uint8


def test_the_same_scene_renders_to_the_same_bytes() -> None:
    scene = sample_scene(Random(8))
    assert np.array_equal(render(scene, 512, 512), render(scene, 512, 512))


def test_half_the_size_is_the_average_of_the_whole() -> None:
    scene = sample_scene(Random(9), 640 / 384)
    whole = render(scene, 640, 384).astype(np.float64)
    averaged = whole.reshape(192, 2, 320, 2, 3).mean(axis=(1, 3))
    assert np.abs(averaged - render(scene, 320, 192)).max() <= 1.0


def test_rendering_one_scene_does_not_mark_the_shared_place() -> None:
    empty = render(_beach(), 512, 512)
    with_t_rex = render(_beach(_t_rex()), 512, 512)
    assert not np.array_equal(empty, with_t_rex)
    assert np.array_equal(empty, render(_beach(), 512, 512))


def test_a_thing_is_painted_where_its_scene_says() -> None:
    changed = (render(_beach(_t_rex(x=0.25, size=0.3)), 512, 512) != render(_beach(), 512, 512)).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert columns.min() > 0.25 * 512 - 0.16 * 512
    assert columns.max() < 0.25 * 512 + 0.16 * 512
    # The shadow reaches a little below the feet.
    assert 0.55 * 512 < rows.min() < rows.max() < 0.94 * 512


def test_sunglasses_darken_the_eyes() -> None:
    bare = sprite("T-Rex", colour=None, accessory=None, on_lounger=False)
    cool = sprite("T-Rex", colour=None, accessory="sunglasses", on_lounger=False)
    dark_bare, dark_cool = (
        int((np.asarray(image.convert("RGB")).max(axis=-1)[np.asarray(image)[..., 3] > 200] < 60).sum())
        for image in (bare, cool)
    )
    assert dark_cool > dark_bare + 1000


def test_every_noun_renders_with_everything_it_may_wear_and_lie_on() -> None:
    for noun in NOUNS.values():
        worn = [None] if noun.eyes is None else [None, *ACCESSORIES] if noun.crown else [None, "sunglasses"]
        pictures = [sprite(noun.name, colour="blue", accessory=accessory, on_lounger=False) for accessory in worn]
        if noun.recline_degrees is not None:
            pictures.append(sprite(noun.name, colour=None, accessory="sunglasses", on_lounger=True))
        for picture in pictures:
            alpha = np.asarray(picture)[..., 3]
            assert alpha.mean() > 20, noun.name


def test_a_thing_that_cannot_wear_a_hat_is_refused() -> None:
    with pytest.raises(ValueError, match="a car cannot wear hat"):
        sprite("car", colour=None, accessory="hat", on_lounger=False)


def test_colours_change_the_paint_of_a_car() -> None:
    red, blue = (
        np.asarray(sprite("car", colour=colour, accessory=None, on_lounger=False)) for colour in ("red", "blue")
    )
    opaque = red[..., 3] > 250
    assert red[opaque][:, 0].mean() > red[opaque][:, 2].mean() + 40
    assert blue[opaque][:, 2].mean() > blue[opaque][:, 0].mean() + 20


def test_a_size_outside_the_limits_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="width_px must lie between"):
        render(_beach(), 0, 512)
