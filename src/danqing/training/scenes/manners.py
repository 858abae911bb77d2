"""How a caption says in which style a picture is drawn, and what people write around it. Knows nothing of things.

"A pencil drawing of" goes only before what is a name: a sentence, or words that have such an opening already, are
followed by the style instead.
"""

from random import Random
from typing import NamedTuple

from danqing.training.scenes.scene import Style

STYLE_FIRST_CHANCE = 0.55
NEUTRAL_OPENINGS = ("a picture of", "an image of")
OPENINGS = (*NEUTRAL_OPENINGS, "a photo of", "an illustration of", "a drawing of", "a cartoon of")
# Asks for nothing that the picture does not have anyway.
NEUTRAL_ENDINGS = ("High quality", "Detailed, 4k")
FLAT_ENDINGS = (*NEUTRAL_ENDINGS, "Flat illustration", "Vector art", "Digital art", "Cartoon style")
STYLE_OPENINGS = {
    Style.PENCIL: ("a pencil drawing of", "a pencil sketch of", "a black and white sketch of"),
    Style.WATERCOLOUR: ("a watercolour of", "a watercolor painting of", "a watercolour painting of"),
    Style.NEON: ("a neon picture of", "a glowing neon drawing of", "a night neon picture of"),
    Style.PIXEL: ("pixel art of", "a pixel art picture of", "an 8-bit picture of"),
}
STYLE_ENDINGS = {
    Style.PENCIL: ("pencil drawing", "as a pencil sketch", "pencil style"),
    Style.WATERCOLOUR: ("watercolour", "in watercolour", "watercolor style"),
    Style.NEON: ("neon style", "in neon colours", "night neon"),
    Style.PIXEL: ("pixel art", "in pixel style", "8-bit style"),
}


class Draft(NamedTuple):
    """A caption without its style; `is_name`: it may follow "a drawing of"."""

    text: str
    is_name: bool


def opening(style: Style, rng: Random) -> str:
    """Return words such as "a picture of", none that speak against the style."""
    return rng.choice(OPENINGS if style is Style.FLAT else NEUTRAL_OPENINGS)


def styled(draft: Draft, style: Style, rng: Random) -> str:
    """Add the style's words, before or after; the usual style has none."""
    if style is Style.FLAT:
        return draft.text
    if draft.is_name and rng.random() < STYLE_FIRST_CHANCE:
        return f"{rng.choice(STYLE_OPENINGS[style])} {draft.text}"
    return f"{draft.text}, {rng.choice(STYLE_ENDINGS[style])}"


def finished(text: str, style: Style, rng: Random) -> str:
    """Vary case and full stop, and sometimes ask for what changes nothing."""
    if rng.random() < 0.75:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.10:
        return f"{text}. {rng.choice(FLAT_ENDINGS if style is Style.FLAT else NEUTRAL_ENDINGS)}."
    return text + "." if rng.random() < 0.5 else text
