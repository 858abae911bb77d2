"""Kinds: every noun has one at most, and a kind's words are no noun's."""

from collections import Counter

from danqing.training.scenes.kinds import KIND_OF, KINDS
from danqing.training.scenes.vocabulary import EMOJI_NOUNS, NOUNS

# What people have no everyday word for, but its own name.
WITHOUT_KIND = """
robot snowman mushroom campfire volcano globe sun moon rainbow tent umbrella trophy clock alarm_clock book gift candle
pumpkin bell chair teapot backpack key anchor cup_of_coffee table wooden_box
"""


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
