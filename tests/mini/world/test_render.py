"""Rendering: exact sizes, the same bytes for the same scene, things in place, and styles of their own."""

from random import Random

import numpy as np
import pytest
from example_scenes import WIDE, scene_of, thing
from numpy.typing import NDArray
from PIL import Image

from mini.world.layout import sample_scene
from mini.world.render import STYLE_PIXELS_PER_CELL, in_style, landscape, render
from mini.world.scene import MEDIUM, SMALL, Arrangement, Box, Grid, Scene, SceneObject, Style
from mini.world.sprites import sprite
from mini.world.things import SHAPES, SUPPORTS
from mini.world.vocabulary import NOUNS

pytestmark = pytest.mark.usefixtures("emoji_font_installed")

CELL_PX = 32
EMPTY = scene_of(arrangement=Arrangement.EMPTY)
WEARERS = [noun for noun in NOUNS.values() if noun.wears_things]

STYLES = [style for style in Style if style is not Style.FLAT]


def cells_changed(*objects: SceneObject, background: str = "beach") -> NDArray[np.bool_]:
    """Which cells differ from those of the empty place, [rows, columns]."""
    empty, full = (render(scene_of(*shown, background=background), CELL_PX).astype(int) for shown in ((), objects))
    changed = (np.abs(full - empty) > 8).any(-1)
    return changed.reshape(WIDE.rows, CELL_PX, WIDE.columns, CELL_PX).any((1, 3))


def boxes(*objects: SceneObject) -> NDArray[np.bool_]:
    cells = np.zeros((WIDE.rows, WIDE.columns), bool)
    for item in objects:
        cells[item.box.top : item.box.bottom, item.box.left : item.box.left + item.box.num_cells] = True
    return cells


@pytest.mark.parametrize("grid", [Grid(8, 8), Grid(10, 6), Grid(6, 10), Grid(4, 16)])
@pytest.mark.parametrize("cell_px", [8, 32])
def test_the_picture_has_the_size_asked_for(grid: Grid, cell_px: int) -> None:
    picture = render(sample_scene(Random(1), grid), cell_px)
    assert picture.shape == (grid.rows * cell_px, grid.columns * cell_px, 3)
    assert picture.dtype == np.uint8


def test_the_same_scene_renders_to_the_same_bytes() -> None:
    scene = sample_scene(Random(8), WIDE)
    assert np.array_equal(render(scene, CELL_PX), render(scene, CELL_PX))


LION_AND_CAR = (thing("lion", left=1, accessory="hat"), thing("car", left=7, num_cells=SMALL, colour="blue"))


@pytest.mark.parametrize(
    "scene",
    [
        scene_of(*LION_AND_CAR, arrangement=Arrangement.BESIDE),
        scene_of(*LION_AND_CAR, arrangement=Arrangement.BESIDE, background="city", mood=3, style=Style.WATERCOLOUR),
        scene_of(thing("T-Rex", num_cells=6, accessory="sunglasses", on_lounger=True)),
        scene_of(arrangement=Arrangement.SIGN, word="QUIZ"),
    ],
)
def test_a_picture_of_twice_the_size_averages_to_the_small_one(scene: Scene) -> None:
    whole = render(scene, 2 * CELL_PX).astype(np.float64)
    height, width, _ = whole.shape
    averaged = whole.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3))
    assert np.abs(averaged - render(scene, CELL_PX)).mean() < 3.0


def test_rendering_one_scene_does_not_mark_the_shared_place() -> None:
    before = render(EMPTY, CELL_PX)
    assert not np.array_equal(before, render(scene_of(thing("T-Rex")), CELL_PX))
    assert np.array_equal(before, render(EMPTY, CELL_PX))


@pytest.mark.parametrize("item", [thing("dog"), thing("castle", left=0, num_cells=MEDIUM), *LION_AND_CAR])
def test_a_thing_keeps_to_its_own_cells_and_fills_them(item: SceneObject) -> None:
    changed, box = cells_changed(item), boxes(item)
    assert not (changed & ~box).any()
    assert (changed & box).sum() >= 0.6 * box.sum()


def test_a_thing_in_the_air_throws_no_shadow_beside_it() -> None:
    kite = SceneObject(noun="kite", box=Box(3, 0, MEDIUM), in_air=True)
    assert not (cells_changed(kite) & ~boxes(kite)).any()


def test_what_comes_later_is_painted_in_front() -> None:
    rear, front = thing("castle"), thing("dog", left=3, num_cells=MEDIUM)
    both = render(scene_of(rear, front), CELL_PX)
    assert not np.array_equal(both, render(scene_of(front, rear), CELL_PX))


@pytest.mark.parametrize("noun", WEARERS, ids=lambda noun: noun.name)
def test_whoever_wears_things_is_drawn_with_them(noun) -> None:  # type: ignore[no-untyped-def]
    bare = sprite(noun.name, colour=None, accessory=None, on_lounger=False)
    dressed = [sprite(noun.name, colour=None, accessory="sunglasses", on_lounger=noun.recline_degrees is not None)]
    if noun.crown:
        dressed.append(sprite(noun.name, colour=None, accessory="crown", on_lounger=False))
    for picture in dressed:
        assert np.asarray(picture)[..., 3].mean() > 20
        assert picture.size != bare.size or not np.array_equal(np.asarray(picture), np.asarray(bare))


@pytest.mark.parametrize("noun", [*SHAPES, *SUPPORTS], ids=lambda noun: noun.name)
def test_what_the_font_lacks_is_painted(noun) -> None:  # type: ignore[no-untyped-def]
    alpha = np.asarray(sprite(noun.name, colour=None, accessory=None, on_lounger=False))[..., 3]
    assert (alpha > 200).mean() > 0.25


def test_sunglasses_darken_the_eyes() -> None:
    bare, cool = (
        np.asarray(sprite("T-Rex", colour=None, accessory=worn, on_lounger=False)) for worn in (None, "sunglasses")
    )
    dark_bare, dark_cool = (
        int((picture[..., :3].max(axis=-1)[picture[..., 3] > 200] < 60).sum()) for picture in (bare, cool)
    )
    assert dark_cool > dark_bare + 1000


def test_a_thing_that_cannot_wear_a_hat_is_refused() -> None:
    with pytest.raises(ValueError, match="a car cannot wear hat"):
        sprite("car", colour=None, accessory="hat", on_lounger=False)


@pytest.mark.parametrize("noun", ["car", "cow"])
def test_colours_change_the_paint(noun: str) -> None:
    red, blue = (
        np.asarray(sprite(noun, colour=colour, accessory=None, on_lounger=False)).astype(int)
        for colour in ("red", "blue")
    )
    opaque = red[..., 3] > 250
    assert red[opaque][:, 0].mean() > red[opaque][:, 2].mean() + 20
    assert blue[opaque][:, 2].mean() > blue[opaque][:, 0].mean() + 20


@pytest.mark.parametrize("cell_px", [7, 257])
def test_a_size_outside_the_limits_is_refused_by_name(cell_px: int) -> None:
    with pytest.raises(ValueError, match="cell_px must lie between"):
        render(EMPTY, cell_px)


def picture(cell_px: int = CELL_PX) -> Image.Image:
    return landscape("farm", mood=0, width_px=5 * cell_px, height_px=3 * cell_px)


def styled(style: Style, cell_px: int = CELL_PX) -> NDArray[np.float64]:
    return np.asarray(in_style(picture(cell_px), style, cell_px), np.float64)


def test_flat_is_the_picture_itself() -> None:
    assert np.array_equal(styled(Style.FLAT), np.asarray(picture()))


@pytest.mark.parametrize("style", STYLES)
def test_a_style_keeps_the_size_and_changes_the_picture(style: Style) -> None:
    assert styled(style).shape == (3 * CELL_PX, 5 * CELL_PX, 3)
    assert np.abs(styled(style) - styled(Style.FLAT)).mean() > 3


@pytest.mark.parametrize("style", STYLES)
def test_no_style_looks_like_another(style: Style) -> None:
    for other in set(STYLES) - {style}:
        assert np.abs(styled(style) - styled(other)).mean() > 8, other


@pytest.mark.parametrize("style", STYLES)
def test_a_style_at_half_the_size_is_the_average_of_the_whole(style: Style) -> None:
    averaged = styled(style, 2 * CELL_PX).reshape(3 * CELL_PX, 2, 5 * CELL_PX, 2, 3).mean((1, 3))
    assert np.abs(averaged - styled(style)).mean() < 5


def test_a_style_does_not_paint_on_the_shared_picture() -> None:
    before = np.array(picture())
    for style in Style:
        styled(style)
    assert np.array_equal(before, np.asarray(picture()))


def test_a_pencil_has_no_colours_and_neon_glows_in_the_dark() -> None:
    flat, pencil, neon = (styled(style) for style in (Style.FLAT, Style.PENCIL, Style.NEON))
    assert np.ptp(pencil, axis=-1).max() < 12 < np.ptp(flat, axis=-1).max()
    assert neon.mean() < 0.7 * flat.mean()


def test_pixel_art_is_made_of_squares() -> None:
    side = CELL_PX // STYLE_PIXELS_PER_CELL
    squares = styled(Style.PIXEL).reshape(3 * STYLE_PIXELS_PER_CELL, side, 5 * STYLE_PIXELS_PER_CELL, side, 3)
    assert np.ptp(squares, axis=(1, 3)).max() == 0
