"""English captions of a scene: many phrasings, all of them true of the picture.

A caption may leave out size, side and place. It names every thing and everything unusual: colours, accessories, a mood
other than the usual one, a style. The thing named first stands on the left.

"A pencil drawing of" only precedes a name. After a sentence, or words with an opening of their own, the style follows
instead.
"""

from random import Random
from typing import NamedTuple

from mini.world.phrases import (
    ACCESSORY_WORDS,
    LOUNGER_WORDS,
    adorned,
    counted,
    named,
    side,
    sign,
    terse,
    things,
    what,
    where,
    with_article,
    without_article,
    worn,
)
from mini.world.places import BACKGROUNDS
from mini.world.scene import Arrangement, Scene, Style
from mini.world.vocabulary import NOUNS

MAX_WORDS = 40

STYLE_FIRST_CHANCE = 0.55
NEUTRAL_OPENINGS = ("a picture of", "an image of")
OPENINGS = (*NEUTRAL_OPENINGS, "a photo of", "an illustration of", "a drawing of", "a cartoon of")
# Words that ask only for what every picture has.
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


def caption(scene: Scene, rng: Random) -> str:
    """Return one phrasing of the scene, sampled by `rng`."""
    while True:
        text = finished(styled(_draft(scene, rng), scene.style, rng), scene.style, rng)
        if len(text.split()) <= MAX_WORDS:
            return text


def short_prompt(scene: Scene, rng: Random) -> str:
    """Return only the things, as people in a hurry type them, with everything unusual about them.

    Often without the place, unless the place is a plain colour; a mood is named with its place.
    """
    text = things(scene, rng, sides=False)
    if not text:
        text = what(scene, rng)
    elif BACKGROUNDS[scene.background].is_plain or rng.random() < 0.5:
        text = f"{text} {where(scene, rng)}"
    text = styled(Draft(text, is_name=True), scene.style, rng)
    if rng.random() < 0.3:
        return terse(text)
    return without_article(text) if rng.random() < 0.4 else text


def _draft(scene: Scene, rng: Random) -> Draft:
    pick = rng.random()
    if scene.arrangement is Arrangement.EMPTY:
        return _empty(scene, rng)
    if pick < 0.10 and scene.arrangement not in (Arrangement.ABOVE, Arrangement.ON, Arrangement.IN_FRONT):
        return Draft(_keywords(scene, rng), is_name=False)
    if scene.arrangement is Arrangement.SINGLE and pick < 0.42:
        return _portrait(scene, rng)
    return _sentence(scene, pick, rng)


def _sentence(scene: Scene, pick: float, rng: Random) -> Draft:
    """The things in one of many frames, the rarer the higher `pick`; the place is sometimes left open."""
    subject = things(scene, rng)
    is_placeless = scene.mood == 0 and not BACKGROUNDS[scene.background].is_plain
    if pick < 0.50 and is_placeless and rng.random() < 0.5:
        return _opened(subject, scene.style, rng)
    place = where(scene, rng)
    if pick < 0.78:
        comma = "," if "," in subject or rng.random() < 0.1 else ""
        return _opened(f"{subject}{comma} {place}", scene.style, rng)
    if pick < 0.85:
        verb = "are" if scene.arrangement is Arrangement.COUNT else "is"
        text = rng.choice((f"there {verb} {subject} {place}", f"{place}, there {verb} {subject}"))
        return Draft(text, is_name=False)
    if pick < 0.93:
        return Draft(f"{place}, {subject}", is_name=False)
    return Draft(f"{what(scene, rng)} with {subject}", is_name=True)


def _opened(text: str, style: Style, rng: Random) -> Draft:
    """With or without "a picture of"; mostly without if a style is named as well."""
    if rng.random() < (0.4 if style is Style.FLAT else 0.1):
        return Draft(f"{opening(style, rng)} {text}", is_name=False)
    return Draft(text, is_name=True)


def _empty(scene: Scene, rng: Random) -> Draft:
    place = what(scene, rng)
    return rng.choice(
        (
            Draft(place, is_name=True),
            Draft(f"{opening(scene.style, rng)} {place}", is_name=False),
            Draft(f"{place}, nothing else", is_name=True),
            Draft(f"an empty picture of {place}", is_name=False),
        )
    )


def _keywords(scene: Scene, rng: Random) -> str:
    """Terse: "dog, sunglasses, beach"."""
    if scene.arrangement is Arrangement.COUNT:
        words = [counted(scene, rng) + worn(scene.objects[0], rng, joint=" with ", plural=True)]
    elif scene.arrangement is Arrangement.SIGN:
        words = [sign(scene, rng)]
    else:
        words = [named(item, rng) + worn(item, rng, joint=" with ") for item in scene.objects]
        if scene.objects[0].on_lounger:
            words.append(without_article(rng.choice(LOUNGER_WORDS)))
    words.append(without_article(what(scene, rng)))
    return ", ".join(words)


def _portrait(scene: Scene, rng: Random) -> Draft:
    """One thing in focus: "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses"."""
    item = scene.objects[0]
    subject = with_article(adorned(item, rng))
    place, spot = where(scene, rng), side(scene, item, rng)
    doings = []
    if item.on_lounger:
        doings.append(f"{rng.choice(('lying', 'lying', 'resting'))} on {rng.choice(LOUNGER_WORDS)}")
    if item.accessory:
        doings.append(f"wearing {rng.choice(ACCESSORY_WORDS[item.accessory])}")
    doing = " and ".join(doings)
    if not doing:
        stands = NOUNS[item.noun].wears_things and BACKGROUNDS[scene.background].has_ground
        verb = "flying" if item.in_air else "standing" if stands else "seen"
        texts = (f"{subject} {place}{spot}", f"{subject} {verb} {place}{spot}", f"{subject}{spot} {place}")
        return Draft(rng.choice(texts), is_name=True)
    relaxing = "relaxing " if item.on_lounger else ""
    return rng.choice(
        (
            Draft(f"{subject} {relaxing}{place}, {doing}", is_name=True),
            Draft(f"{subject} {relaxing}{place}, {doing}", is_name=True),
            Draft(f"{subject} {doing} {place}", is_name=True),
            Draft(f"{subject} is {doing} {place}{spot}", is_name=False),
            Draft(f"{place}, {subject} is {doing}", is_name=False),
        )
    )


def opening(style: Style, rng: Random) -> str:
    """Return words such as "a picture of" that do not contradict the style."""
    return rng.choice(OPENINGS if style is Style.FLAT else NEUTRAL_OPENINGS)


def styled(draft: Draft, style: Style, rng: Random) -> str:
    """Add the style's words, before or after; the usual style has none."""
    if style is Style.FLAT:
        return draft.text
    if draft.is_name and rng.random() < STYLE_FIRST_CHANCE:
        return f"{rng.choice(STYLE_OPENINGS[style])} {draft.text}"
    return f"{draft.text}, {rng.choice(STYLE_ENDINGS[style])}"


def finished(text: str, style: Style, rng: Random) -> str:
    """Vary case and full stop, and sometimes append words that change nothing."""
    if rng.random() < 0.75:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.10:
        return f"{text}. {rng.choice(FLAT_ENDINGS if style is Style.FLAT else NEUTRAL_ENDINGS)}."
    return text + "." if rng.random() < 0.5 else text
