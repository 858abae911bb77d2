"""The nouns of the world: what may stand in a picture and what people call it. Knows nothing of drawing or layout."""

from danqing.training.scenes.creatures import CREATURES
from danqing.training.scenes.noun import Noun
from danqing.training.scenes.things import SHAPES, SUPPORTS, THINGS

__all__ = ["ACCESSORIES", "COMMON_NOUNS", "EMOJI_NOUNS", "NOUNS", "SHAPES", "SUPPORTS", "Noun"]

EMOJI_NOUNS = CREATURES + THINGS

NOUNS: dict[str, Noun] = {noun.name: noun for noun in EMOJI_NOUNS + SHAPES + SUPPORTS}

ACCESSORIES = ("sunglasses", "hat", "crown")

# What people ask for first: drawn twice as often as the others.
_COMMON = """
T-Rex dog cat lion penguin panda fox owl octopus fish robot snowman astronaut car rocket balloon
burger pizza apple tree palm_tree mushroom house castle
horse cow pig rabbit bear tiger elephant monkey duck bird butterfly frog turtle dragon unicorn teddy_bear
man woman princess bicycle bus train truck airplane sailboat
banana strawberry cake donut ice_cream cup_of_coffee flower rose sunflower pumpkin umbrella
"""
COMMON_NOUNS = frozenset(name.replace("_", " ") for name in _COMMON.split())
