"""A scene becomes English: many phrasings, all of them true of the picture. Knows nothing of pixels.

A caption may leave things out (size, side, place), but names every thing, and what is unusual: colours, what is worn,
a mood other than the place's own, a style. What is named first stands on the left.
"""

from random import Random

from danqing.training.scenes.backgrounds import BACKGROUNDS
from danqing.training.scenes.grid import BIG, SMALL
from danqing.training.scenes.scene import Arrangement, Scene, SceneObject, Style
from danqing.training.scenes.vocabulary import NOUNS

MAX_WORDS = 40

NUMBERS = ("", "one", "two", "three", "four")
BIG_WORDS = ("big", "large", "huge", "giant")
SMALL_WORDS = ("small", "little", "tiny")
LOUNGER_WORDS = ("a sun lounger", "a sun lounger", "a deck chair", "a beach lounger", "a lounger")
ACCESSORY_WORDS = {
    "sunglasses": ("sunglasses", "sunglasses", "dark glasses", "cool sunglasses"),
    "hat": ("a hat", "a top hat", "a black hat"),
    "crown": ("a crown", "a golden crown"),
}
OPENINGS = ("a photo of", "a picture of", "an image of", "an illustration of", "a drawing of", "a cartoon of")
# Asks for nothing that the picture does not have anyway.
ENDINGS = ("High quality", "Flat illustration", "Detailed, 4k", "Vector art", "Digital art", "Cartoon style")
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


def caption(scene: Scene, rng: Random) -> str:
    """Return one phrasing of the scene, drawn by `rng`."""
    while True:
        text = _finished(_styled(_sentence(scene, rng), scene.style, rng), rng)
        if len(text.split()) <= MAX_WORDS:
            return text


def short_prompt(scene: Scene, rng: Random) -> str:
    """Only the things, as somebody in a hurry types them."""
    if not scene.objects and not scene.word:
        return without_article(rng.choice(BACKGROUNDS[scene.background].what))
    text = _things(scene, rng, sides=False)
    if rng.random() < 0.5:
        text = f"{text} {_where(scene, rng)}"
    return without_article(text) if rng.random() < 0.5 else text


def _sentence(scene: Scene, rng: Random) -> str:
    pick = rng.random()
    if scene.arrangement is Arrangement.EMPTY:
        return _empty(scene, rng)
    if pick < 0.10 and scene.arrangement not in (Arrangement.ABOVE, Arrangement.ON, Arrangement.IN_FRONT):
        return _keywords(scene, rng)
    if scene.arrangement is Arrangement.SINGLE and pick < 0.42:
        return _portrait(scene, rng)
    things = _things(scene, rng)
    if pick < 0.50 and scene.mood == 0 and not BACKGROUNDS[scene.background].is_plain and rng.random() < 0.5:
        # The place is left to the painter.
        return f"{rng.choice(OPENINGS)} {things}" if rng.random() < 0.4 else things
    where = _where(scene, rng)
    if pick < 0.78:
        opening = rng.choice(OPENINGS) + " " if rng.random() < 0.4 and scene.style is Style.FLAT else ""
        comma = "," if "," in things or rng.random() < 0.1 else ""
        return f"{opening}{things}{comma} {where}"
    if pick < 0.85:
        verb = "are" if scene.arrangement is Arrangement.COUNT else "is"
        return rng.choice((f"there {verb} {things} {where}", f"{where}, there {verb} {things}"))
    if pick < 0.93:
        return f"{where}, {things}"
    return f"{_what(scene, rng)} with {things}"


def _styled(text: str, style: Style, rng: Random) -> str:
    if style is Style.FLAT:
        return text
    if rng.random() < 0.55:
        return f"{rng.choice(STYLE_OPENINGS[style])} {text}"
    return f"{text}, {rng.choice(STYLE_ENDINGS[style])}"


def _finished(text: str, rng: Random) -> str:
    """Vary case and full stop, and sometimes ask for what changes nothing."""
    if rng.random() < 0.75:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.10:
        return f"{text}. {rng.choice(ENDINGS)}."
    return text + "." if rng.random() < 0.5 else text


def _empty(scene: Scene, rng: Random) -> str:
    what = _what(scene, rng)
    return rng.choice((what, f"{rng.choice(OPENINGS)} {what}", f"{what}, nothing else", f"an empty picture of {what}"))


def _keywords(scene: Scene, rng: Random) -> str:
    """Terse: "dog, sunglasses, beach"."""
    if scene.arrangement is Arrangement.COUNT:
        words = [_counted(scene, rng)]
    elif scene.arrangement is Arrangement.SIGN:
        words = [_sign(scene, rng)]
    else:
        words = [_named(item, rng) + _worn(item, rng, joint=" with ") for item in scene.objects]
        if scene.objects[0].on_lounger:
            words.append(without_article(rng.choice(LOUNGER_WORDS)))
    words.append(without_article(_what(scene, rng)))
    return ", ".join(words)


def _portrait(scene: Scene, rng: Random) -> str:
    """A sentence about one thing: "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses"."""
    item = scene.objects[0]
    subject = with_article(_adorned(item, rng))
    where = _where(scene, rng)
    doings = []
    if item.on_lounger:
        doings.append(f"{rng.choice(('lying', 'lying', 'resting'))} on {rng.choice(LOUNGER_WORDS)}")
    if item.accessory:
        doings.append(f"wearing {rng.choice(ACCESSORY_WORDS[item.accessory])}")
    doing = " and ".join(doings)
    side = _side(scene, item, rng)
    if not doing:
        stands = NOUNS[item.noun].wears_things and BACKGROUNDS[scene.background].ground is not None
        verb = "flying" if item.in_air else "standing" if stands else "seen"
        return rng.choice((f"{subject} {where}{side}", f"{subject} {verb} {where}{side}", f"{subject}{side} {where}"))
    relaxing = "relaxing " if item.on_lounger else ""
    return rng.choice(
        (
            f"{subject} {relaxing}{where}, {doing}",
            f"{subject} {relaxing}{where}, {doing}",
            f"{subject} {doing} {where}",
            f"{subject} is {doing} {where}{side}",
            f"{where}, {subject} is {doing}",
        )
    )


def _things(scene: Scene, rng: Random, *, sides: bool = True) -> str:
    """All the things with what they wear and where they are: "a big dog on the left and a red car on the right"."""
    items = scene.objects
    match scene.arrangement:
        case Arrangement.SIGN:
            return _sign(scene, rng)
        case Arrangement.COUNT:
            return _counted(scene, rng) + _worn(items[0], rng, joint=" wearing ", plural=True)
        case Arrangement.ABOVE:
            upper, lower = (_described(item, rng) for item in items)
            if rng.random() < 0.7:
                return f"{upper} {rng.choice(('above', 'over', 'above'))} {lower}"
            return f"{lower} {rng.choice(('below', 'under', 'beneath'))} {upper}"
        case Arrangement.ON:
            support, thing = (_described(item, rng) for item in items)
            return f"{thing} {rng.choice(('on', 'on top of', 'standing on'))} {support}"
        case Arrangement.IN_FRONT:
            rear, front = (_described(item, rng) for item in items)
            if rng.random() < 0.8:
                return f"{front} in front of {rear}"
            return f"{rear} behind {front}"
        case Arrangement.BESIDE:
            return _pair(items, rng)
        case Arrangement.ROW:
            return _row(items, rng)
        case Arrangement.SINGLE:
            return _described(items[0], rng) + (_side(scene, items[0], rng) if sides else "")
        case Arrangement.EMPTY:
            return _what(scene, rng)


def _pair(items: tuple[SceneObject, ...], rng: Random) -> str:
    one, other = (_described(item, rng) for item in items)
    pick = rng.random()
    if pick < 0.30:
        return f"{one} on the left and {other} on the right"
    if pick < 0.38:
        return f"{other} on the right and {one} on the left"
    if pick < 0.48:
        return f"{one} {rng.choice(('to the left of', 'left of'))} {other}"
    if pick < 0.58:
        return f"{other} {rng.choice(('to the right of', 'right of'))} {one}"
    if pick < 0.76:
        return f"{one} {rng.choice(('next to', 'beside', 'next to'))} {other}"
    return f"{one} {rng.choice(('and', 'and', 'with'))} {other}"


def _row(items: tuple[SceneObject, ...], rng: Random) -> str:
    described = [_described(item, rng) for item in items]
    if rng.random() < 0.4:
        spots = ("on the left", "in the middle", "on the right")
        described = [f"{text} {spot}" for text, spot in zip(described, spots, strict=True)]
    return ", ".join(described[:-1]) + " and " + described[-1]


def _sign(scene: Scene, rng: Random) -> str:
    said = rng.choice(('that says "{}"', 'with the word "{}"', 'with the text "{}"', 'saying "{}"'))
    return f"{rng.choice(('a sign', 'a sign', 'a wooden sign', 'a board'))} {said.format(scene.word)}"


def _described(item: SceneObject, rng: Random) -> str:
    """One thing with article, size, colour, and what it wears or lies on."""
    text = with_article(_adorned(item, rng))
    if item.on_lounger:
        text += f" {rng.choice(('lying', 'relaxing', 'resting'))} on {rng.choice(LOUNGER_WORDS)}"
    return text + _worn(item, rng, joint=" and wearing " if item.on_lounger else rng.choice((" wearing ", " with ")))


def _worn(item: SceneObject, rng: Random, *, joint: str, plural: bool = False) -> str:
    if not item.accessory:
        return ""
    if plural:
        return joint + {"sunglasses": "sunglasses", "hat": "hats", "crown": "crowns"}[item.accessory]
    return joint + rng.choice(ACCESSORY_WORDS[item.accessory])


def _adorned(item: SceneObject, rng: Random) -> str:
    name = _named(item, rng)
    if item.box.num_cells >= BIG and not item.on_lounger and rng.random() < 0.3:
        return f"{rng.choice(BIG_WORDS)} {name}"
    if item.box.num_cells == SMALL and rng.random() < 0.7:
        return f"{rng.choice(SMALL_WORDS)} {name}"
    return name


def _named(item: SceneObject, rng: Random) -> str:
    """The noun or a synonym, with its colour where that was chosen."""
    noun = NOUNS[item.noun]
    name = rng.choice(noun.synonyms) if noun.synonyms and rng.random() < 0.3 else noun.name
    return f"{item.colour} {name}" if item.colour else name


def _counted(scene: Scene, rng: Random) -> str:
    item, num = scene.objects[0], len(scene.objects)
    noun = NOUNS[item.noun]
    colour = f"{item.colour} " if item.colour else ""
    number = str(num) if rng.random() < 0.2 else NUMBERS[num]
    return f"{number} {colour}{noun.plural or noun.name + 's'}"


def _side(scene: Scene, item: SceneObject, rng: Random) -> str:
    """Where a single thing is, mostly."""
    away = item.box.middle - scene.grid.columns / 2
    if abs(away) > 1:
        if rng.random() < 0.95:
            side = "left" if away < 0 else "right"
            return rng.choice((f" on the {side}", f" on the {side} side"))
    elif rng.random() < 0.15:
        return rng.choice((" in the middle", " in the centre", " in the center"))
    return " in the sky" if item.in_air and rng.random() < 0.3 else ""


def _where(scene: Scene, rng: Random) -> str:
    return rng.choice(BACKGROUNDS[scene.background].where) + _mood(scene, rng)


def _what(scene: Scene, rng: Random) -> str:
    return rng.choice(BACKGROUNDS[scene.background].what) + _mood(scene, rng)


def _mood(scene: Scene, rng: Random) -> str:
    phrases = BACKGROUNDS[scene.background].moods[scene.mood]
    return " " + rng.choice(phrases) if phrases and (scene.mood or rng.random() < 0.2) else ""


def with_article(name: str) -> str:
    """Put "a" or "an" before it."""
    if name.startswith(("Santa", "Tokyo")):
        return name
    if name.startswith("Statue"):
        return f"the {name}"
    # "a UFO", "a unicorn": written with a vowel, spoken without.
    return f"an {name}" if name[0] in "aeiouAEIO" and not name.startswith("uni") else f"a {name}"


def without_article(name: str) -> str:
    """Take the article away."""
    return name.removeprefix("a ").removeprefix("an ").removeprefix("the ")
