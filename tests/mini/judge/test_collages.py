"""Training pictures of the detector: the same for the same seed, labelled with what they show, with a place for all."""

from random import Random

import numpy as np
import pytest

from mini.judge.backdrops import backdrop
from mini.judge.collages import COLOUR_LABELS, LABELS, SIZE_PX, collage, distorted
from mini.world.vocabulary import NOUNS


@pytest.mark.usefixtures("emoji_font_installed")
def test_the_same_seed_gives_the_same_collage() -> None:
    (one, things), (other, same) = collage(Random(3)), collage(Random(3))
    assert things == same
    assert np.array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.usefixtures("emoji_font_installed")
def test_every_thing_has_labels_and_its_middle_within_the_picture() -> None:
    for seed in (3, 4):
        picture, things = collage(Random(seed))
        assert picture.size == SIZE_PX
        assert things
        for thing in things:
            assert thing.noun in LABELS
            assert thing.colour in COLOUR_LABELS
            assert 0 < thing.x_px < SIZE_PX[0]
            assert 0 < thing.y_px < SIZE_PX[1]
            assert thing.colour != "own" or not NOUNS[thing.noun].is_shape


def test_backdrops_differ_and_fill_the_size() -> None:
    drawn = [backdrop(Random(seed), SIZE_PX) for seed in range(30)]
    assert {picture.size for picture in drawn} == {SIZE_PX}
    assert len({picture.tobytes() for picture in drawn}) == 30


def test_distortions_keep_the_size_and_most_of_the_picture() -> None:
    picture = backdrop(Random(5), SIZE_PX)
    before = np.asarray(picture, float)
    for seed in range(20):
        after = distorted(Random(seed), picture)
        assert after.size == picture.size
        assert np.abs(np.asarray(after, float) - before).mean() < 45
