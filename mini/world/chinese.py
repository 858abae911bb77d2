"""Captions of a scene in simple Chinese."""

from random import Random

from mini.world.colours import CHINESE_COLOURS
from mini.world.phrases import as_typed, said_kind
from mini.world.places import BACKGROUNDS
from mini.world.scene import BIG, SMALL, Arrangement, Scene, SceneObject, Style
from mini.world.vocabulary import NOUNS

NUMBERS = ("", "一", "两", "三", "四")
ACCESSORIES = {"sunglasses": "戴着墨镜的", "hat": "戴着帽子的", "crown": "戴着王冠的"}
STYLES = {
    Style.FLAT: "",
    Style.PENCIL: "铅笔画，",
    Style.WATERCOLOUR: "水彩画，",
    Style.NEON: "霓虹风格，",
    Style.PIXEL: "像素画，",
}


def chinese_caption(scene: Scene, rng: Random) -> str:
    """Return one phrasing of the scene."""
    place = BACKGROUNDS[scene.background]
    mood = place.chinese_moods[scene.mood] if scene.mood else ""
    where = (mood + "的" if mood else "") + rng.choice(place.chinese)
    things = _things(scene, rng)
    if not things:
        return STYLES[scene.style] + where
    return STYLES[scene.style] + rng.choice(_frames(things, where))


def _frames(things: str, where: str) -> list[str]:
    """All grammatical ways to join things and place."""
    frames = [f"{things}，{where}", f"在{where}，{things}"]
    if things.startswith("左边"):
        return [*frames, f"{where}，{things}"]
    frames.append(f"{where}有{things}")
    # "一个蛋糕在桌子上" has its 在 already.
    return frames if "在" in things.replace("躺在", "") else [*frames, f"{things}在{where}"]


def _things(scene: Scene, rng: Random) -> str:
    items = scene.objects
    match scene.arrangement:
        case Arrangement.EMPTY:
            return ""
        case Arrangement.SIGN:
            return f"写着“{as_typed(scene.word, rng)}”的牌子"
        case Arrangement.COUNT:
            return _counted(items[0], len(items), rng)
        case Arrangement.ABOVE:
            upper, lower = (_counted(item, 1, rng) for item in items)
            return f"{upper}在{lower}上方"
        case Arrangement.ON:
            support, thing = (_counted(item, 1, rng) for item in items)
            return f"{thing}在{support}上"
        case Arrangement.IN_FRONT:
            rear, front = (_counted(item, 1, rng) for item in items)
            return f"{front}在{rear}前面"
        case Arrangement.BESIDE:
            left, right = (_counted(item, 1, rng) for item in items)
            return rng.choice((f"左边{left}，右边{right}", f"{left}和{right}"))
        case Arrangement.ROW:
            return "、".join(_counted(item, 1, rng) for item in items)
        case Arrangement.SINGLE:
            return _counted(items[0], 1, rng)


def _counted(item: SceneObject, num: int, rng: Random) -> str:
    noun = NOUNS[item.noun]
    colour = f"{CHINESE_COLOURS[item.colour]}的" if item.colour else ""
    worn = ACCESSORIES[item.accessory] if item.accessory else ""
    lying = "躺在躺椅上的" if item.on_lounger else ""
    number = NUMBERS[num] if num > 1 or rng.random() < 0.8 else ""
    kind = said_kind(item, rng)
    if kind:
        # No size: "大人" is no big person.
        return f"{number}{kind.measure_word if number else ''}{lying}{colour}{kind.chinese}"
    name = rng.choice(noun.chinese)
    big = item.box.num_cells >= BIG and rng.random() < 0.2
    size = "大" if big else "小" if item.box.num_cells == SMALL else ""
    # "小狗" is small already, and "红色的小…" reads as the young of it.
    size = "" if colour or name[0] in "大小" else size
    return f"{number}{noun.measure_word if number else ''}{worn}{lying}{colour}{size}{name}"
