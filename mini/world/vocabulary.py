"""The nouns of the world and their kinds: what can stand in a picture and what people call it.

A kind is a word that leaves open which thing is meant: "an animal on a beach". A noun has one kind or none.
"""

from dataclasses import dataclass

from mini.world.creatures import CREATURES
from mini.world.noun import Noun
from mini.world.things import SHAPES, SUPPORTS, THINGS

EMOJI_NOUNS = CREATURES + THINGS

NOUNS: dict[str, Noun] = {noun.name: noun for noun in EMOJI_NOUNS + SHAPES + SUPPORTS}

ACCESSORIES = ("sunglasses", "hat", "crown")

# What people ask for first, shown far more often than the rest: a small network memorises what it sees often.
_COMMON = """
T-Rex dog cat lion fox panda penguin owl elephant horse rabbit bear unicorn dragon robot snowman astronaut princess
fish octopus whale butterfly duck car bus train bicycle rocket airplane sailboat balloon
apple pizza burger cake ice_cream tree palm_tree flower mushroom house castle
"""
COMMON_NOUNS = frozenset(name.replace("_", " ") for name in _COMMON.split())


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Its words in two languages and its nouns."""

    name: str
    plural: str
    chinese: str  # Without the measure word.
    measure_word: str
    nouns: tuple[str, ...]


def _kind(name: str, plural: str, chinese: str, measure_word: str, nouns: str) -> Kind:
    """Nouns are separated by spaces; a noun of several words is joined by underscores."""
    members = tuple(noun.replace("_", " ") for noun in nouns.split())
    return Kind(name=name, plural=plural, chinese=chinese, measure_word=measure_word, nouns=members)


_ANIMALS = """
dog cat T-Rex lion fox panda elephant penguin owl horse cow pig frog rabbit bear monkey turtle giraffe tiger duck sheep
koala camel wolf flamingo parrot fish whale dolphin shark octopus lobster crab snake crocodile brachiosaurus snail
spider squirrel mouse hedgehog raccoon sloth deer goat zebra kangaroo gorilla rhino hippo bird chick rooster swan
peacock eagle bat
"""
_PEOPLE = """
man woman baby astronaut police_officer firefighter chef farmer detective ninja princess prince Santa_Claus wizard
clown dancer superhero
"""
_VEHICLES = """
car taxi police_car ambulance bus truck fire_truck tractor bicycle motorcycle train sailboat speedboat ship rocket
airplane helicopter UFO
"""

_KINDS = (
    _kind("animal", "animals", "动物", "只", _ANIMALS),
    _kind("insect", "insects", "昆虫", "只", "butterfly bee ladybug"),
    _kind("person", "people", "人", "个", _PEOPLE),
    _kind("fantasy creature", "fantasy creatures", "神话生物", "个", "dragon unicorn mermaid fairy"),
    _kind("monster", "monsters", "怪物", "个", "ghost alien vampire"),
    _kind("vehicle", "vehicles", "交通工具", "个", _VEHICLES),
    _kind(
        "fruit",
        "fruits",
        "水果",
        "个",
        "apple banana strawberry watermelon pineapple lemon peach cherry bunch_of_grapes avocado",
    ),
    _kind("vegetable", "vegetables", "蔬菜", "个", "tomato carrot ear_of_corn eggplant head_of_broccoli"),
    _kind(
        "food",
        "pieces of food",
        "食物",
        "份",
        "pizza burger hot_dog taco box_of_fries fried_egg loaf_of_bread piece_of_cheese box_of_popcorn",
    ),
    _kind("dessert", "desserts", "甜点", "份", "cake cupcake donut cookie ice_cream"),
    _kind("plant", "plants", "植物", "株", "tree palm_tree pine_tree flower sunflower rose tulip cactus"),
    _kind("building", "buildings", "建筑", "座", "house castle church hospital"),
    _kind("landmark", "landmarks", "地标", "座", "ferris_wheel Statue_of_Liberty Tokyo_Tower"),
    _kind("musical instrument", "musical instruments", "乐器", "件", "guitar violin trumpet piano drum"),
    _kind("toy", "toys", "玩具", "个", "balloon kite teddy_bear"),
    _kind("ball", "balls", "球", "个", "soccer_ball basketball"),
    _kind("tool", "tools", "工具", "件", "hammer pair_of_scissors"),
    _kind("electronic device", "electronic devices", "电子设备", "台", "camera phone laptop television"),
    _kind("lamp", "lamps", "灯", "盏", "light_bulb lantern"),
    _kind("piece of clothing", "pieces of clothing", "衣物", "件", "shoe dress"),
    _kind("shape", "shapes", "图形", "个", "circle square triangle star heart diamond"),
)

KINDS = {kind.name: kind for kind in _KINDS}
KIND_OF = {noun: kind for kind in _KINDS for noun in kind.nouns}
