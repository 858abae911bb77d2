"""Prompts to look at rather than judge: first prompts, the contact sheet's 48, and 20 short ones for expansion.

The contact sheet's prompts are held out like the evaluation set, except for the first, the API documentation's example.
"""

from random import Random

from mini.judge.prompts import (
    WHERE,
    Category,
    evaluation_prompts,
    held_out_nouns,
    sample_place,
    sentence,
)
from mini.world.phrases import with_article
from mini.world.scene import is_held_out
from mini.world.signs import HELD_OUT_WORDS
from mini.world.vocabulary import ACCESSORIES, EMOJI_NOUNS

DOCUMENTED = "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses."
NUM_PER_CATEGORY = 5
STYLES = ("a pencil drawing of {}", "a watercolour of {}", "a neon picture of {}", "{}, pixel art")
NUM_PER_STYLE = 2
WEATHERS = (("forest", "in the fog"), ("street", "in the rain"), ("lake", "at night"), ("mountains", "in the evening"))
WORN = {"sunglasses": "sunglasses", "hat": "a hat", "crown": "a crown"}
NUM_SIGNS = 2

SHORT_PROMPTS = (
    "dog",
    "a cat with sunglasses",
    "castle",
    "two rabbits",
    "red car",
    "penguin in the desert",
    "burger in a forest",
    "a tiger on a beach",
    "robot and flower",
    "pizza in space",
    "an owl at night",
    "three balloons",
    "horse in a room",
    "blue elephant",
    "snowman, watercolour",
    "a bird above a house",
    "princess wearing a crown",
    "a sign that says HELLO",
    "fox in the rain",
    "a T-Rex on a sun lounger",
)


# Prompts that people may try first, about things that `mini` knows well.
FIRST_PROMPTS = (
    DOCUMENTED,
    "A big dog wearing a hat in a snowy landscape.",
    "A red car on a road.",
    "A cat wearing a crown, in a room.",
    "An astronaut in outer space.",
    "An octopus underwater.",
    "A rocket on the left and a robot on the right, in space.",
    "A photo of a burger, against a blue background.",
    "Three penguins in the snow.",
    "A castle in the mountains at dawn.",
    "A fox next to a mushroom in a forest.",
    "A palm tree in the desert.",
)


def sheet_prompts() -> list[str]:
    """The same 48 every time, the documented example first."""
    rng = Random("danqing sheet")
    chosen = evaluation_prompts(NUM_PER_CATEGORY)
    judged = [prompt.text for category in Category for prompt in chosen if prompt.category is category]
    styled = [_styled(style, rng) for style in STYLES for _ in range(NUM_PER_STYLE)]
    weathers = [_weathered(place, mood, rng) for place, mood in WEATHERS]
    dressed = [_dressed(accessory, rng) for accessory in ACCESSORIES]
    signs = [_sign(word, rng) for word in rng.sample(HELD_OUT_WORDS, NUM_SIGNS)]
    return [DOCUMENTED, *judged, *styled, *weathers, *dressed, *signs]


def _styled(style: str, rng: Random) -> str:
    place = sample_place(rng)
    noun = rng.choice(held_out_nouns(place)).name
    return sentence(style.format(f"{with_article(noun)} {WHERE[place]}"))


def _weathered(place: str, mood: str, rng: Random) -> str:
    noun = rng.choice(held_out_nouns(place)).name
    return sentence(f"{with_article(noun)} {WHERE[place]} {mood}")


def _dressed(accessory: str, rng: Random) -> str:
    """A creature that never wears this in training."""
    wearers = [noun for noun in EMOJI_NOUNS if noun.wears_things and (noun.crown or accessory == "sunglasses")]
    noun = rng.choice([noun.name for noun in wearers if is_held_out(noun.name, accessory)])
    return sentence(f"{with_article(noun)} wearing {WORN[accessory]} {WHERE[sample_place(rng)]}")


def _sign(word: str, rng: Random) -> str:
    return sentence(f'a sign that says "{word}" {WHERE[sample_place(rng)]}')
