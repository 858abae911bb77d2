"""What is held out: always the same tenth of the pairs, never the documented example."""

import pytest

from danqing.training.scenes.backgrounds import PLACES
from danqing.training.scenes.colours import COLOURS
from danqing.training.scenes.scene import is_held_out
from danqing.training.scenes.vocabulary import ACCESSORIES, EMOJI_NOUNS


@pytest.mark.parametrize("others", [PLACES, COLOURS], ids=["places", "colours"])
def test_about_a_tenth_of_the_pairs_is_held_out(others: dict[str, object]) -> None:
    held_out = [is_held_out(noun.name, other) for noun in EMOJI_NOUNS for other in others]
    assert 0.07 < sum(held_out) / len(held_out) < 0.13


def test_the_documented_example_is_not_held_out() -> None:
    assert not is_held_out("T-Rex", "beach")
    assert not is_held_out("T-Rex", "sunglasses")


def test_a_checkpoint_and_its_judges_hold_out_the_same_pairs() -> None:
    assert [place for place in PLACES if is_held_out("cat", place)] == ["room", "lake"]
    assert [noun.name for noun in EMOJI_NOUNS if noun.crown and is_held_out(noun.name, "crown")] == ["giraffe"]


@pytest.mark.parametrize("place", PLACES)
def test_every_place_holds_out_something_and_not_everything(place: str) -> None:
    held_out = {noun.name for noun in EMOJI_NOUNS if is_held_out(noun.name, place)}
    assert 5 < len(held_out) < len(EMOJI_NOUNS) / 4


def test_whoever_wears_things_may_wear_something_in_training() -> None:
    for noun in EMOJI_NOUNS:
        if noun.crown:
            assert not all(is_held_out(noun.name, accessory) for accessory in ACCESSORIES), noun.name
