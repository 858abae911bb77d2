"""Detailed captions: the text that prompt expansion learns to produce.

A detailed caption has a fixed order (style, things, place, mood), always names size and side, and calls each thing by
its one name. It settles everything a short prompt leaves open.
"""

from mini.world.phrases import ACCESSORY_PLURALS, ACCESSORY_WORDS, NUMBERS, with_article
from mini.world.places import BACKGROUNDS
from mini.world.scene import BIG, SMALL, Arrangement, Scene, SceneObject, Style
from mini.world.vocabulary import NOUNS

OPENINGS = {
    Style.FLAT: "A flat illustration",
    Style.PENCIL: "A pencil drawing",
    Style.WATERCOLOUR: "A watercolour painting",
    Style.NEON: "A neon picture",
    Style.PIXEL: "A pixel art picture",
}


def detailed_caption(scene: Scene) -> str:
    """Return the one full description."""
    place = BACKGROUNDS[scene.background]
    mood = place.moods[scene.mood]
    where = place.where[0] + (f" {mood[0]}" if mood else "")
    if scene.arrangement is Arrangement.EMPTY:
        return f"{OPENINGS[scene.style]} of {place.what[0]}{f' {mood[0]}' if mood else ''}."
    return f"{OPENINGS[scene.style]} of {_things(scene)}, {where}."


def _things(scene: Scene) -> str:
    items = scene.objects
    match scene.arrangement:
        case Arrangement.SIGN:
            return f'a wooden sign that says "{scene.word}"'
        case Arrangement.COUNT:
            noun = NOUNS[items[0].noun]
            colour = f"{items[0].colour} " if items[0].colour else ""
            worn = f" wearing {ACCESSORY_PLURALS[items[0].accessory]}" if items[0].accessory else ""
            return f"{NUMBERS[len(items)]} {colour}{noun.plural or noun.name + 's'}{worn} in a row"
        case Arrangement.ABOVE:
            return f"{_described(items[0])} above {_described(items[1])}"
        case Arrangement.ON:
            return f"{_described(items[1])} on {_described(items[0])}"
        case Arrangement.IN_FRONT:
            return f"{_described(items[1])} in front of {_described(items[0])}"
        case Arrangement.BESIDE:
            return f"{_described(items[0])} on the left and {_described(items[1])} on the right"
        case Arrangement.ROW:
            left, middle, right = map(_described, items)
            return f"{left} on the left, {middle} in the middle and {right} on the right"
        case _:
            return _described(items[0]) + _side(scene, items[0])


def _described(item: SceneObject) -> str:
    size = "big " if item.box.num_cells >= BIG else "small " if item.box.num_cells == SMALL else ""
    colour = f"{item.colour} " if item.colour else ""
    text = with_article(f"{size}{colour}{item.noun}")
    if item.on_lounger:
        text = with_article(item.noun) + " lying on a sun lounger"
    if item.accessory:
        text += f"{' and' if item.on_lounger else ''} wearing {ACCESSORY_WORDS[item.accessory][0]}"
    return text


def _side(scene: Scene, item: SceneObject) -> str:
    away = item.box.middle - scene.grid.columns / 2
    if abs(away) <= 1:
        return " in the middle"
    return " on the left" if away < 0 else " on the right"
