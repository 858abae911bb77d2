"""The vocabulary: every noun has names that are its own in English and Chinese, and a picture in the font."""

import re
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mini.world.colours import COLOURS
from mini.world.noun import Noun
from mini.world.sprites import emoji_font
from mini.world.things import SHAPES, SUPPORTS
from mini.world.vocabulary import COMMON_NOUNS, EMOJI_NOUNS, KIND_OF, KINDS, NOUNS

CHINESE = re.compile(r"[\u4e00-\u9fff]+")
COLOURED = re.compile("[红橙黄绿蓝紫粉黑白灰金]|棕(?!榈)")
MIN_INKED_SHARE = 0.1
MIN_COLOURS = 8  # A missing glyph is an empty box of one.

# What people have no everyday word for, but its own name.
WITHOUT_KIND = """
robot snowman mushroom campfire volcano globe sun moon rainbow tent umbrella trophy clock alarm_clock book gift candle
pumpkin bell chair teapot backpack key anchor cup_of_coffee table wooden_box
"""


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


def test_every_noun_has_one_kind_or_is_known_to_have_none() -> None:
    times = Counter(noun for kind in KINDS.values() for noun in kind.nouns)
    assert set(times.values()) == {1}
    assert set(NOUNS) - set(times) == {name.replace("_", " ") for name in WITHOUT_KIND.split()}
    assert set(times) <= set(NOUNS)
    assert all(noun in KIND_OF[noun].nouns for noun in times)
    assert sum(noun.name in KIND_OF for noun in EMOJI_NOUNS) > 0.8 * len(EMOJI_NOUNS)


def test_a_kind_has_several_nouns_and_none_of_their_names() -> None:
    names = {name for noun in NOUNS.values() for name in (noun.name, noun.plural, *noun.synonyms, *noun.chinese)}
    for kind in KINDS.values():
        assert len(kind.nouns) > 1
        assert not {kind.name, kind.plural, kind.chinese} & names, kind.name


def test_no_two_kinds_share_a_word() -> None:
    assert len({kind.plural for kind in KINDS.values()} | set(KINDS)) == 2 * len(KINDS)
    assert len({kind.chinese for kind in KINDS.values()}) == len(KINDS)
