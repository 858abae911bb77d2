"""A scene becomes words: many phrasings, all of them true of the picture. Knows nothing of pixels.

A caption may leave things out (size, side, mood), but names every noun and nearly always the place.
"""

from random import Random

from danqing.training.scenes.backgrounds import BACKGROUNDS
from danqing.training.scenes.scene import MAX_SMALL_SIZE, MIN_BIG_SIZE, Scene, SceneObject
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
OPENINGS = (
    "a photo of",
    "a picture of",
    "an illustration of",
    "an image of",
    "a drawing of",
    "a flat illustration of",
    "a colourful picture of",
    "a realistic photo of",
)
STYLES = (
    "Realistic photo.",
    "Realistic photo.",
    "Flat illustration.",
    "High quality, detailed.",
    "High quality.",
    "Vector art.",
    "Digital art.",
    "Cartoon style.",
    "Detailed, 4k.",
)
# An object whose middle is nearer than this to the middle of the picture is neither left nor right.
CENTRE_MARGIN = 0.12


def caption(scene: Scene, rng: Random) -> str:
    """Return one phrasing of the scene, drawn by `rng`."""
    while True:
        text = _finished(_sentence(scene, rng), rng)
        if len(text.split()) <= MAX_WORDS:
            return text


def _sentence(scene: Scene, rng: Random) -> str:
    pick = rng.random()
    if pick < 0.14:
        return _keywords(scene, rng)
    if len(scene.objects) == 1 and pick < 0.50:
        return _portrait(scene, rng)
    things = _things(scene, rng)
    where = _where(scene, rng)
    if pick < 0.72:
        opening = rng.choice(OPENINGS) + " " if rng.random() < 0.55 else ""
        comma = "," if "," in things or rng.random() < 0.1 else ""
        return f"{opening}{things}{comma} {where}"
    if pick < 0.82:
        verb = "are" if _is_plural(scene) else "is"
        return rng.choice((f"there {verb} {things} {where}", f"{where}, there {verb} {things}"))
    if pick < 0.92:
        return f"{where}, {things}"
    return f"{_what(scene, rng)} with {things}"


def _finished(text: str, rng: Random) -> str:
    """Vary case and full stop, and sometimes ask for a style that changes nothing."""
    pick = rng.random()
    if pick < 0.12:
        text = text.lower()
    elif pick < 0.15:
        text = text.upper()
    elif pick < 0.85:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.2:
        return f"{text}. {rng.choice(STYLES)}" if rng.random() < 0.8 else f"{text}, {rng.choice(STYLES)[:-1].lower()}"
    return text + "." if rng.random() < 0.55 else text


def _keywords(scene: Scene, rng: Random) -> str:
    """Terse: "dog, sunglasses, beach"."""
    first = scene.objects[0]
    words = [_counted(scene, rng)] if _is_plural(scene) else [_keyword(item, scene, rng) for item in scene.objects]
    if first.accessory and (len(scene.objects) == 1 or _is_plural(scene)):
        words.append(_without_article(rng.choice(ACCESSORY_WORDS[first.accessory])))
    if len(scene.objects) == 1 and first.on_lounger:
        words.append(_without_article(rng.choice(LOUNGER_WORDS)))
    if rng.random() < 0.92:
        words.append(_without_article(rng.choice(BACKGROUNDS[scene.background].what)))
    return ", ".join(words)


def _keyword(item: SceneObject, scene: Scene, rng: Random) -> str:
    alone = len(scene.objects) == 1
    worn = f" with {rng.choice(ACCESSORY_WORDS[item.accessory])}" if item.accessory and not alone else ""
    return _named(item, rng) + worn


def _portrait(scene: Scene, rng: Random) -> str:
    """A sentence about one thing: "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses"."""
    item = scene.objects[0]
    subject = _with_article(_adorned(item, rng))
    where = _where(scene, rng)
    doings = []
    if item.on_lounger:
        doings.append(f"{rng.choice(('lying', 'lying', 'resting'))} on {rng.choice(LOUNGER_WORDS)}")
    if item.accessory:
        doings.append(f"wearing {rng.choice(ACCESSORY_WORDS[item.accessory])}")
    doing = " and ".join(doings)
    side = _side(item, rng)
    if not doing:
        stands = NOUNS[item.noun].wears_things and BACKGROUNDS[scene.background].ground is not None
        verb = "flying" if item.in_air else "standing" if stands else "seen"
        return rng.choice((f"{subject} {where}{side}", f"{subject} {verb} {where}", f"{subject} is {where}{side}"))
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


def _things(scene: Scene, rng: Random) -> str:
    """All the things with what they wear and where they are: "a big dog on the left and a red car on the right"."""
    items = scene.objects
    if len(items) == 1:
        return _described(items[0], rng) + _side(items[0], rng)
    if _is_plural(scene):
        return _counted(scene, rng) + _worn_together(items[0])
    if len(items) == 2 and _is_stacked(items):
        upper, lower = sorted(items, key=lambda item: item.y)
        if rng.random() < 0.7:
            return f"{_described(upper, rng)} {rng.choice(('above', 'over', 'above'))} {_described(lower, rng)}"
        return f"{_described(lower, rng)} {rng.choice(('below', 'under', 'beneath'))} {_described(upper, rng)}"
    if len(items) == 2:
        return _pair(items, rng)
    ordered = sorted(items, key=lambda item: item.x)
    if rng.random() < 0.4:
        spots = ("on the left", "in the middle", "on the right")
        return _listed([f"{_described(item, rng)} {spot}" for item, spot in zip(ordered, spots, strict=True)])
    rng.shuffle(ordered)
    return _listed([_described(item, rng) for item in ordered])


def _pair(items: tuple[SceneObject, ...], rng: Random) -> str:
    left, right = sorted(items, key=lambda item: item.x)
    one, other = _described(left, rng), _described(right, rng)
    pick = rng.random()
    if pick < 0.30:
        return f"{one} on the left and {other} on the right"
    if pick < 0.38:
        return f"{other} on the right and {one} on the left"
    if pick < 0.48:
        return f"{one} to the left of {other}"
    if pick < 0.58:
        return f"{other} to the right of {one}"
    # What is named first stands on the left.
    if pick < 0.76:
        return f"{one} {rng.choice(('next to', 'beside', 'next to'))} {other}"
    return f"{one} {rng.choice(('and', 'and', 'with'))} {other}"


def _described(item: SceneObject, rng: Random) -> str:
    """One thing with article, size, colour, and what it wears or lies on."""
    text = _with_article(_adorned(item, rng))
    if item.on_lounger:
        text += f" {rng.choice(('lying', 'relaxing', 'resting'))} on {rng.choice(LOUNGER_WORDS)}"
    if item.accessory:
        joint = " and wearing" if item.on_lounger else rng.choice((" wearing", " wearing", " with"))
        text += f"{joint} {rng.choice(ACCESSORY_WORDS[item.accessory])}"
    return text


def _adorned(item: SceneObject, rng: Random) -> str:
    name = _named(item, rng)
    if item.size >= MIN_BIG_SIZE and not item.on_lounger and rng.random() < 0.35:
        return f"{rng.choice(BIG_WORDS)} {name}"
    if item.size <= MAX_SMALL_SIZE and rng.random() < 0.9:
        return f"{rng.choice(SMALL_WORDS)} {name}"
    return name


def _named(item: SceneObject, rng: Random) -> str:
    """The noun or a synonym, with its colour where that was chosen."""
    noun = NOUNS[item.noun]
    name = rng.choice(noun.synonyms) if noun.synonyms and rng.random() < 0.35 else noun.name
    if item.colour and (noun.is_shape or rng.random() < 0.75):
        return f"{item.colour} {name}"
    return name


def _counted(scene: Scene, rng: Random) -> str:
    item = scene.objects[0]
    noun = NOUNS[item.noun]
    colour = f"{item.colour} " if item.colour and (noun.is_shape or rng.random() < 0.75) else ""
    return f"{NUMBERS[len(scene.objects)]} {colour}{noun.plural or noun.name + 's'}"


def _worn_together(item: SceneObject) -> str:
    if not item.accessory:
        return ""
    worn = {"sunglasses": "sunglasses", "hat": "hats", "crown": "crowns"}[item.accessory]
    return f" wearing {worn}"


def _side(item: SceneObject, rng: Random) -> str:
    """Where a single thing is, sometimes."""
    if rng.random() < (0.35 if abs(item.x - 0.5) < CENTRE_MARGIN else 0.95):
        if item.x < 0.5 - CENTRE_MARGIN:
            return rng.choice((" on the left", " on the left side"))
        if item.x > 0.5 + CENTRE_MARGIN:
            return rng.choice((" on the right", " on the right side"))
        if abs(item.x - 0.5) < CENTRE_MARGIN / 2 and rng.random() < 0.5:
            return rng.choice((" in the middle", " in the centre"))
    return " in the sky" if item.in_air and rng.random() < 0.3 else ""


def _where(scene: Scene, rng: Random) -> str:
    place = BACKGROUNDS[scene.background]
    return rng.choice(place.where) + _mood(scene, rng)


def _what(scene: Scene, rng: Random) -> str:
    return rng.choice(BACKGROUNDS[scene.background].what) + _mood(scene, rng)


def _mood(scene: Scene, rng: Random) -> str:
    phrases = BACKGROUNDS[scene.background].moods[scene.mood]
    return " " + rng.choice(phrases) if phrases and rng.random() < 0.3 else ""


def _is_plural(scene: Scene) -> bool:
    return len(scene.objects) > 1 and len({item.noun for item in scene.objects}) == 1


def _is_stacked(items: tuple[SceneObject, ...]) -> bool:
    return abs(items[0].x - items[1].x) < CENTRE_MARGIN


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def _with_article(name: str) -> str:
    if name == "Santa" or name.startswith("Santa "):
        return name
    # "a UFO", "a unicorn": written with a vowel, spoken without.
    return f"an {name}" if name[0] in "aeiouAEIO" and not name.startswith("uni") else f"a {name}"


def _without_article(name: str) -> str:
    return name.removeprefix("a ").removeprefix("an ").removeprefix("the ")
