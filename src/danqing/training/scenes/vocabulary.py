"""The nouns of the world: what may stand in a picture and what people call it. Knows nothing of drawing or layout."""

from danqing.training.scenes.creatures import CREATURES
from danqing.training.scenes.noun import Noun
from danqing.training.scenes.things import SHAPES, SUPPORTS, THINGS

__all__ = ["ACCESSORIES", "COMMON_NOUNS", "EMOJI_NOUNS", "NOUNS", "SHAPES", "SUPPORTS", "Noun"]

EMOJI_NOUNS = CREATURES + THINGS

NOUNS: dict[str, Noun] = {noun.name: noun for noun in EMOJI_NOUNS + SHAPES + SUPPORTS}

ACCESSORIES = ("sunglasses", "hat", "crown")

# What people ask for first, drawn far more often than the rest: a small network learns by heart what it sees often.
_COMMON = """
T-Rex dog cat lion fox panda penguin owl elephant horse rabbit bear unicorn dragon robot snowman astronaut princess
fish octopus whale butterfly duck car bus train bicycle rocket airplane sailboat balloon
apple pizza burger cake ice_cream tree palm_tree flower mushroom house castle
"""
COMMON_NOUNS = frozenset(name.replace("_", " ") for name in _COMMON.split())
