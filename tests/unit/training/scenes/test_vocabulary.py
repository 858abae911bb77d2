"""The vocabulary: every noun has names that are its own in English and Chinese, and a picture in the font."""

import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageDraw

from danqing.training.scenes.colours import COLOURS
from danqing.training.scenes.sprites import emoji_font
from danqing.training.scenes.vocabulary import COMMON_NOUNS, EMOJI_NOUNS, NOUNS, SHAPES, SUPPORTS, Noun

CHINESE = re.compile(r"[\u4e00-\u9fff]+")
COLOURED = re.compile("[红橙黄绿蓝紫粉黑白灰金]|棕(?!榈)")
MIN_INKED_SHARE = 0.1
MIN_COLOURS = 8  # A missing glyph is an empty box of one.


def _repeated(names: list[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _english(noun: Noun) -> set[str]:
    """The names of a noun; one that is its own plural counts once."""
    return {name.lower() for name in (noun.name, noun.plural or noun.name + "s", *noun.synonyms)}


def test_no_noun_is_lost_in_the_table() -> None:
    assert len(NOUNS) == len(EMOJI_NOUNS) + len(SHAPES) + len(SUPPORTS)


def test_no_english_name_or_plural_belongs_to_two_nouns() -> None:
    assert not _repeated([name for noun in NOUNS.values() for name in _english(noun)])


def test_no_synonym_repeats_within_a_noun() -> None:
    for noun in NOUNS.values():
        assert not _repeated([noun.name, *noun.synonyms])


def test_every_noun_has_one_or_two_chinese_names_and_a_measure_word() -> None:
    for noun in NOUNS.values():
        assert 1 <= len(noun.chinese) <= 2, noun.name
        assert all(CHINESE.fullmatch(word) for word in (*noun.chinese, noun.measure_word)), noun.name


def test_no_chinese_name_belongs_to_two_nouns() -> None:
    assert not _repeated([name for noun in NOUNS.values() for name in noun.chinese])


def test_no_glyph_is_drawn_for_two_nouns() -> None:
    assert not _repeated([noun.glyph for noun in EMOJI_NOUNS])


def test_every_common_noun_is_an_emoji_of_the_vocabulary() -> None:
    assert {noun.name for noun in EMOJI_NOUNS} >= COMMON_NOUNS


def test_no_name_says_a_colour_for_a_thing_may_be_drawn_in_any() -> None:
    for noun in NOUNS.values():
        english = {word for name in _english(noun) for word in name.split()}
        assert not english & {*COLOURS, "golden", "gold"}, noun.name
        assert not any(map(COLOURED.match, noun.chinese)), noun.name


@pytest.mark.usefixtures("emoji_font_installed")
@pytest.mark.parametrize("noun", EMOJI_NOUNS, ids=lambda noun: noun.name)
def test_every_glyph_is_one_coloured_picture(noun: Noun) -> None:
    # A sequence that the font lacks is drawn as two pictures, twice as wide.
    assert emoji_font().getlength(noun.glyph) == emoji_font().getlength("\N{DOG}")
    tile = Image.new("RGBA", (180, 160))
    ImageDraw.Draw(tile).text((12, 12), noun.glyph, font=emoji_font(), embedded_color=True)
    pixels = np.asarray(tile.crop(tile.getbbox()))
    inked = pixels[..., 3] > 128
    assert inked.mean() > MIN_INKED_SHARE
    assert len(np.unique(pixels[inked][:, :3], axis=0)) > MIN_COLOURS
