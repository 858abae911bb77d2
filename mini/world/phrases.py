"""English phrases: the words for one thing, a group of things, a place, a sign.

A thing is called by its name or a synonym, rarely by its kind alone, and never by its kind if it wears something. What
a phrase says is true, but it need not say everything.
"""

import re
from random import Random

from mini.world.places import BACKGROUNDS
from mini.world.scene import BIG, SMALL, Arrangement, Scene, SceneObject
from mini.world.vocabulary import KIND_OF, NOUNS, Kind

SYNONYM_CHANCE, KIND_CHANCE = 0.30, 0.04
SINGLE_QUOTES_CHANCE, NO_QUOTES_CHANCE = 0.15, 0.20
# Most people write a sign's word in capitals, as the sign does.
TITLE_CASE_CHANCE, LOWER_CASE_CHANCE = 0.15, 0.15

ARTICLES = re.compile(r"\b(?:a|an|the) ")

NUMBERS = ("", "one", "two", "three", "four")
BIG_WORDS = ("big", "large", "huge", "giant")
SMALL_WORDS = ("small", "little", "tiny")
LOUNGER_WORDS = ("a sun lounger", "a sun lounger", "a deck chair", "a beach lounger", "a lounger")
ACCESSORY_WORDS = {
    "sunglasses": ("sunglasses", "sunglasses", "dark glasses", "cool sunglasses"),
    "hat": ("a hat", "a top hat", "a black hat"),
    "crown": ("a crown", "a golden crown"),
}
# For several wearers.
ACCESSORY_PLURALS = {"sunglasses": "sunglasses", "hat": "hats", "crown": "crowns"}


def described(item: SceneObject, rng: Random) -> str:
    """One thing with article, size, colour, accessory and lounger."""
    text = with_article(adorned(item, rng))
    if item.on_lounger:
        text += f" {rng.choice(('lying', 'relaxing', 'resting'))} on {rng.choice(LOUNGER_WORDS)}"
    return text + worn(item, rng, joint=" and wearing " if item.on_lounger else rng.choice((" wearing ", " with ")))


def worn(item: SceneObject, rng: Random, *, joint: str, plural: bool = False) -> str:
    """Its accessory after "with" or the like; empty without one."""
    if not item.accessory:
        return ""
    return joint + (ACCESSORY_PLURALS[item.accessory] if plural else rng.choice(ACCESSORY_WORDS[item.accessory]))


def adorned(item: SceneObject, rng: Random) -> str:
    """Its name with its colour, sometimes with its size."""
    name = named(item, rng)
    if item.box.num_cells >= BIG and not item.on_lounger and rng.random() < 0.3:
        return f"{rng.choice(BIG_WORDS)} {name}"
    if item.box.num_cells == SMALL and rng.random() < 0.7:
        return f"{rng.choice(SMALL_WORDS)} {name}"
    return name


def named(item: SceneObject, rng: Random) -> str:
    """The noun, a synonym or its kind, with its colour if one was sampled."""
    noun, kind = NOUNS[item.noun], said_kind(item, rng)
    name = noun.name
    if kind:
        name = kind.name
    elif noun.synonyms and rng.random() < SYNONYM_CHANCE:
        name = rng.choice(noun.synonyms)
    return f"{item.colour} {name}" if item.colour else name


def counted(scene: Scene, rng: Random) -> str:
    """Number and plural: "three red cars"."""
    item, num = scene.objects[0], len(scene.objects)
    noun, kind = NOUNS[item.noun], said_kind(item, rng)
    colour = f"{item.colour} " if item.colour else ""
    number = str(num) if rng.random() < 0.2 else NUMBERS[num]
    return f"{number} {colour}{kind.plural if kind else noun.plural or noun.name + 's'}"


def said_kind(item: SceneObject, rng: Random) -> Kind | None:
    """Its kind, if the caption leaves open which thing it is."""
    return None if item.accessory or rng.random() >= KIND_CHANCE else KIND_OF.get(item.noun)


def side(scene: Scene, item: SceneObject, rng: Random) -> str:
    """The side of a single thing, in most cases; empty in the others."""
    away = item.box.middle - scene.grid.columns / 2
    if abs(away) > 1:
        if rng.random() < 0.95:
            hand = "left" if away < 0 else "right"
            return rng.choice((f" on the {hand}", f" on the {hand} side"))
    elif rng.random() < 0.15:
        return rng.choice((" in the middle", " in the centre", " in the center"))
    return " in the sky" if item.in_air and rng.random() < 0.3 else ""


def sign(scene: Scene, rng: Random) -> str:
    """A board and its word, mostly in quotes."""
    board, word = rng.choice(("a sign", "a sign", "a wooden sign", "a board")), as_typed(scene.word, rng)
    if rng.random() < NO_QUOTES_CHANCE:
        return f"{board} {rng.choice(('that says', 'that says', 'saying'))} {word}"
    quote = "'" if rng.random() < SINGLE_QUOTES_CHANCE else '"'
    return f"{board} {rng.choice(('that says', 'with the word', 'with the text', 'saying'))} {quote}{word}{quote}"


def as_typed(word: str, rng: Random) -> str:
    """A sign's word in capitals, or with one, or without."""
    pick = rng.random()
    if pick < TITLE_CASE_CHANCE:
        return word.capitalize()
    return word.lower() if pick < TITLE_CASE_CHANCE + LOWER_CASE_CHANCE else word


def where(scene: Scene, rng: Random) -> str:
    """The place as it follows a thing, with its mood."""
    return rng.choice(BACKGROUNDS[scene.background].where) + _mood(scene, rng)


def what(scene: Scene, rng: Random) -> str:
    """The place as it stands alone, with its mood."""
    return rng.choice(BACKGROUNDS[scene.background].what) + _mood(scene, rng)


def _mood(scene: Scene, rng: Random) -> str:
    phrases = BACKGROUNDS[scene.background].moods[scene.mood]
    return " " + rng.choice(phrases) if phrases and (scene.mood or rng.random() < 0.2) else ""


def with_article(name: str) -> str:
    """Prepend "a", "an", or the article that this noun takes."""
    if name.startswith(("Santa", "Tokyo")):
        return name
    if name.startswith("Statue"):
        return f"the {name}"
    if name.split()[-1] == "food":
        return f"some {name}"
    # "a UFO", "a unicorn": written with a vowel, spoken without.
    return f"an {name}" if name[0] in "aeiouAEIO" and not name.startswith("uni") else f"a {name}"


def without_article(name: str) -> str:
    """Remove the article."""
    for article in ("a ", "an ", "the ", "some "):
        if name.startswith(article):
            return name.removeprefix(article)
    return name


def terse(text: str) -> str:
    """Without any article: "robot and flower on beach"."""
    return ARTICLES.sub("", text)


def things(scene: Scene, rng: Random, *, sides: bool = True) -> str:
    """All the things with accessories and positions: "a big dog on the left and a red car on the right".

    Empty for an empty place.
    """
    items = scene.objects
    match scene.arrangement:
        case Arrangement.EMPTY:
            return ""
        case Arrangement.SIGN:
            return sign(scene, rng)
        case Arrangement.COUNT:
            return counted(scene, rng) + worn(items[0], rng, joint=" wearing ", plural=True)
        case Arrangement.ABOVE:
            return _above(items, rng)
        case Arrangement.ON:
            support, thing = (described(item, rng) for item in items)
            return f"{thing} {rng.choice(('on', 'on top of', 'standing on'))} {support}"
        case Arrangement.IN_FRONT:
            rear, front = (described(item, rng) for item in items)
            return f"{front} in front of {rear}" if rng.random() < 0.8 else f"{rear} behind {front}"
        case Arrangement.BESIDE:
            return _pair(items, rng)
        case Arrangement.ROW:
            return _row(items, rng)
        case Arrangement.SINGLE:
            return described(items[0], rng) + (side(scene, items[0], rng) if sides else "")


def _above(items: tuple[SceneObject, ...], rng: Random) -> str:
    upper, lower = (described(item, rng) for item in items)
    if rng.random() < 0.7:
        return f"{upper} {rng.choice(('above', 'over', 'above'))} {lower}"
    return f"{lower} {rng.choice(('below', 'under', 'beneath'))} {upper}"


def _pair(items: tuple[SceneObject, ...], rng: Random) -> str:
    one, other = (described(item, rng) for item in items)
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
    texts = [described(item, rng) for item in items]
    if rng.random() < 0.4:
        spots = ("on the left", "in the middle", "on the right")
        texts = [f"{text} {spot}" for text, spot in zip(texts, spots, strict=True)]
    return ", ".join(texts[:-1]) + " and " + texts[-1]
