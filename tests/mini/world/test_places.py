"""The places: each paints all its moods, and its words, English and Chinese, are its own."""

from collections import Counter

import numpy as np
import pytest
from numpy.typing import NDArray

from mini.world.colours import CHINESE_COLOURS, COLOURS
from mini.world.places import BACKGROUNDS, PLACES
from mini.world.render import landscape

SIZES_PX = ((512, 512), (640, 384), (384, 640), (1024, 256), (64, 64))


def _picture(place: str, mood: int, width_px: int = 160, height_px: int = 96) -> NDArray[np.float64]:
    image = landscape(place, mood=mood, width_px=width_px, height_px=height_px)
    return np.asarray(image, dtype=np.float64)


def _repeated(phrases: list[str]) -> list[str]:
    return [phrase for phrase, count in Counter(phrases).items() if count > 1]


def _is_chinese(text: str) -> bool:
    return bool(text) and all("\u4e00" <= character <= "\u9fff" for character in text)


def test_there_are_sixteen_places_and_one_plain_background_for_each_colour() -> None:
    assert len(PLACES) == 16
    assert set(BACKGROUNDS) - set(PLACES) == {f"plain {colour}" for colour in COLOURS}


@pytest.mark.parametrize("place", PLACES)
def test_every_place_paints_every_mood_at_every_size(place: str) -> None:
    for mood in range(len(PLACES[place].moods)):
        for width_px, height_px in SIZES_PX:
            picture = _picture(place, mood, width_px, height_px)
            assert picture.shape == (height_px, width_px, 3)
            # No strip was left unpainted.
            assert picture.sum(axis=-1).min() > 20, (place, mood, width_px)


@pytest.mark.parametrize("place", PLACES)
def test_the_moods_of_a_place_differ_visibly(place: str) -> None:
    pictures = [_picture(place, mood) for mood in range(len(PLACES[place].moods))]
    for one, picture in enumerate(pictures):
        for other in range(one):
            assert np.abs(picture - pictures[other]).mean() > 4.0, (PLACES[place].variants[one], other)


def test_different_places_differ_visibly() -> None:
    pictures = {place: _picture(place, 0) for place in PLACES}
    for one in PLACES:
        for other in PLACES:
            assert one == other or np.abs(pictures[one] - pictures[other]).mean() > 12.0, (one, other)


def test_a_place_is_painted_alike_each_time() -> None:
    before = _picture("garden", 3)
    landscape.cache_clear()
    assert np.array_equal(before, _picture("garden", 3))


def test_no_phrase_belongs_to_two_places() -> None:
    places = BACKGROUNDS.values()
    assert not _repeated([phrase for place in places for phrase in place.where])
    assert not _repeated([phrase for place in places for phrase in place.what])
    assert not _repeated([phrase for place in places for phrase in place.chinese])


@pytest.mark.parametrize("place", BACKGROUNDS.values(), ids=lambda place: place.name)
def test_no_phrase_of_a_place_belongs_to_two_of_its_moods(place) -> None:  # type: ignore[no-untyped-def]
    assert not _repeated([phrase for phrases in place.moods for phrase in phrases])
    assert not _repeated(list(place.chinese_moods))
    assert not _repeated([mood.name for mood in place.variants])
    assert all(phrases for phrases in place.moods[1:])


@pytest.mark.parametrize("place", BACKGROUNDS.values(), ids=lambda place: place.name)
def test_every_place_and_every_unusual_mood_has_a_chinese_name(place) -> None:  # type: ignore[no-untyped-def]
    assert place.chinese
    assert all(map(_is_chinese, place.chinese))
    assert len(place.chinese_moods) == len(place.moods)
    assert place.chinese_moods[0] == ""
    assert all(map(_is_chinese, place.chinese_moods[1:]))


def test_every_colour_has_its_own_chinese_name() -> None:
    assert set(CHINESE_COLOURS) == set(COLOURS)
    assert all(map(_is_chinese, CHINESE_COLOURS.values()))
    assert not _repeated(list(CHINESE_COLOURS.values()))
