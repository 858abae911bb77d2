"""The nouns of the world: what may stand in a picture and what people call it. Knows nothing of drawing or layout.

Anchors are read off the emoji: x, y, width as fractions of the glyph's tight box. `eyes` is the middle of the
sunglasses, `crown` the middle of the lower edge of a hat. A noun with eyes may wear things, hats only on a bare head.
"""

from dataclasses import dataclass

Anchor = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Noun:
    """One thing that can be drawn: an emoji, or a simple shape when `glyph` is empty."""

    name: str
    glyph: str
    synonyms: tuple[str, ...] = ()
    plural: str = ""
    flies: bool = False
    hue: str | None = None  # The colour of the glyph where it can be repainted.
    eyes: Anchor | None = None
    crown: Anchor | None = None
    recline_degrees: float | None = None  # How far it leans back on a sun lounger, where it can lie on one.

    @property
    def is_shape(self) -> bool:
        return not self.glyph

    @property
    def wears_things(self) -> bool:
        return self.eyes is not None


def _wearer(
    name: str,
    glyph: str,
    *synonyms: str,
    eyes: Anchor,
    crown: Anchor | None,
    recline: float | None = None,
    plural: str = "",
) -> Noun:
    return Noun(
        name=name, glyph=glyph, synonyms=synonyms, eyes=eyes, crown=crown, recline_degrees=recline, plural=plural
    )


def _thing(name: str, glyph: str, *synonyms: str, plural: str = "", hue: str | None = None) -> Noun:
    return Noun(name=name, glyph=glyph, synonyms=synonyms, plural=plural, hue=hue)


def _flyer(name: str, glyph: str, *synonyms: str, plural: str = "", hue: str | None = None) -> Noun:
    return Noun(name=name, glyph=glyph, synonyms=synonyms, plural=plural, flies=True, hue=hue)


_WEARERS = (
    _wearer("dog", "🐕", "puppy", "doggy", eyes=(0.41, 0.30, 0.46), crown=(0.41, 0.05, 0.36), recline=32),
    _wearer("cat", "🐈", "kitten", "kitty", eyes=(0.25, 0.30, 0.40), crown=(0.38, 0.12, 0.34), recline=36),
    _wearer(
        "T-Rex",
        "🦖",
        "dinosaur",
        "tyrannosaurus",
        "T. rex",
        "t rex",
        "tyrannosaurus rex",
        plural="T-Rexes",
        eyes=(0.20, 0.065, 0.27),
        crown=(0.24, 0.02, 0.24),
        recline=46,
    ),
    _wearer("lion", "🦁", eyes=(0.50, 0.38, 0.52), crown=(0.50, 0.12, 0.46), recline=18),
    _wearer("fox", "🦊", plural="foxes", eyes=(0.50, 0.57, 0.46), crown=(0.50, 0.26, 0.40), recline=18),
    _wearer("panda", "🐼", "panda bear", eyes=(0.50, 0.50, 0.62), crown=(0.50, 0.10, 0.44), recline=18),
    _wearer("elephant", "🐘", eyes=(0.30, 0.37, 0.34), crown=(0.50, 0.06, 0.32), recline=30),
    _wearer("penguin", "🐧", eyes=(0.38, 0.14, 0.46), crown=(0.44, 0.03, 0.46), recline=50),
    _wearer("owl", "🦉", eyes=(0.51, 0.30, 0.72), crown=(0.50, 0.09, 0.50), recline=40),
    _wearer("horse", "🐎", "pony", eyes=(0.14, 0.24, 0.24), crown=(0.20, 0.07, 0.22), recline=30),
    _wearer("cow", "🐄", eyes=(0.18, 0.22, 0.28), crown=(0.29, 0.06, 0.24), recline=30),
    _wearer("pig", "🐖", "piglet", eyes=(0.27, 0.43, 0.46), crown=(0.36, 0.11, 0.34), recline=26),
    _wearer("frog", "🐸", eyes=(0.50, 0.24, 0.78), crown=(0.50, 0.10, 0.40), recline=18),
    _wearer("rabbit", "🐇", "bunny", "bunny rabbit", eyes=(0.32, 0.46, 0.42), crown=(0.42, 0.32, 0.36), recline=34),
    _wearer("bear", "🐻", "brown bear", eyes=(0.50, 0.46, 0.56), crown=(0.50, 0.10, 0.44), recline=18),
    _wearer("monkey", "🐒", eyes=(0.32, 0.34, 0.42), crown=(0.35, 0.11, 0.38), recline=32),
    _wearer("turtle", "🐢", "tortoise", eyes=(0.19, 0.43, 0.34), crown=(0.19, 0.28, 0.28), recline=20),
    _wearer("dragon", "🐉", eyes=(0.24, 0.18, 0.30), crown=(0.36, 0.09, 0.30)),
    _wearer("unicorn", "🦄", eyes=(0.36, 0.45, 0.40), crown=(0.58, 0.12, 0.36)),
    _wearer("giraffe", "🦒", eyes=(0.20, 0.15, 0.36), crown=(0.30, 0.05, 0.30), recline=48),
    _wearer("tiger", "🐯", eyes=(0.50, 0.31, 0.58), crown=(0.50, 0.07, 0.40), recline=18),
    _wearer("duck", "🦆", eyes=(0.34, 0.13, 0.36), crown=(0.40, 0.04, 0.30), recline=30),
    _wearer("sheep", "🐑", "lamb", plural="sheep", eyes=(0.28, 0.34, 0.36), crown=(0.34, 0.06, 0.34), recline=24),
    _wearer("koala", "🐨", eyes=(0.50, 0.50, 0.50), crown=(0.50, 0.10, 0.36), recline=18),
    _wearer("camel", "🐪", eyes=(0.22, 0.19, 0.28), crown=(0.33, 0.05, 0.24), recline=30),
    _wearer("wolf", "🐺", plural="wolves", eyes=(0.50, 0.45, 0.54), crown=(0.50, 0.13, 0.38), recline=18),
    _wearer("flamingo", "🦩", eyes=(0.28, 0.065, 0.34), crown=(0.32, 0.02, 0.30), recline=44),
    _wearer("parrot", "🦜", eyes=(0.26, 0.17, 0.36), crown=(0.32, 0.03, 0.34), recline=40),
    _wearer("robot", "🤖", "android", eyes=(0.50, 0.52, 0.66), crown=(0.50, 0.29, 0.50), recline=18),
    _wearer("ghost", "👻", eyes=(0.50, 0.26, 0.48), crown=(0.48, 0.05, 0.42), recline=30),
    _wearer("snowman", "⛄", plural="snowmen", eyes=(0.46, 0.38, 0.48), crown=None, recline=44),
    _wearer("alien", "👽", "extraterrestrial", eyes=(0.50, 0.48, 0.84), crown=(0.50, 0.07, 0.50), recline=24),
    _wearer("man", "🧍‍♂", "guy", plural="men", eyes=(0.50, 0.20, 0.58), crown=(0.50, 0.065, 0.66), recline=62),
    _wearer("woman", "🧍‍♀", "lady", plural="women", eyes=(0.50, 0.20, 0.58), crown=(0.50, 0.065, 0.66), recline=62),
    _wearer("baby", "👶", "infant", plural="babies", eyes=(0.50, 0.61, 0.62), crown=(0.50, 0.16, 0.48), recline=20),
    _wearer("teddy bear", "🧸", "teddy", eyes=(0.52, 0.26, 0.46), crown=(0.52, 0.06, 0.38), recline=38),
)

_CREATURES = (
    _thing("fish", "🐟", "blue fish", plural="fish"),
    _thing("whale", "🐳"),
    _thing("dolphin", "🐬"),
    _thing("shark", "🦈"),
    _thing("octopus", "🐙", plural="octopuses"),
    _thing("snake", "🐍"),
    _thing("snail", "🐌"),
    _thing("crab", "🦀"),
    _thing("squirrel", "🐿", "chipmunk"),
    _thing("crocodile", "🐊", "alligator"),
    _thing("rooster", "🐓", "chicken"),
    _thing("peacock", "🦚"),
    _flyer("butterfly", "🦋", "monarch butterfly", plural="butterflies"),
    _flyer("bee", "🐝", "honeybee", "bumblebee"),
    _flyer("ladybug", "🐞", "ladybird"),
    _thing("astronaut", "🧑‍🚀", "spaceman"),
    _thing("princess", "👸", plural="princesses"),
    _thing("Santa Claus", "🎅", "Santa", plural="Santas"),
    _thing("wizard", "🧙‍♂", "magician"),
    _thing("clown", "🤡"),
    _thing("mermaid", "🧜‍♀"),
    _thing("dancer", "💃", "dancing woman"),
)

_VEHICLES = (
    _thing("car", "🚗", "automobile", hue="red"),
    _thing("taxi", "🚕", "cab", "yellow taxi"),
    _thing("bus", "🚌", plural="buses"),
    _thing("truck", "🚚", "lorry"),
    _thing("fire truck", "🚒", "fire engine"),
    _thing("tractor", "🚜"),
    _thing("bicycle", "🚲", "bike"),
    _thing("motorcycle", "🏍", "motorbike", hue="red"),
    _thing("train", "🚂", "steam train", "locomotive"),
    _thing("sailboat", "⛵", "boat", "sailing boat"),
    _thing("ship", "🚢", "ocean liner"),
    _flyer("rocket", "🚀", "spaceship"),
    _flyer("airplane", "✈", "plane", "aeroplane", "jet"),
    _flyer("helicopter", "🚁", "chopper"),
    _flyer("UFO", "🛸", "flying saucer"),
)

_FOOD = (
    _thing("apple", "🍎", "red apple"),
    _thing("banana", "🍌"),
    _thing("strawberry", "🍓", plural="strawberries"),
    _thing("watermelon", "🍉", "slice of watermelon", plural="watermelons"),
    _thing("pineapple", "🍍"),
    _thing("lemon", "🍋"),
    _thing("avocado", "🥑"),
    _thing("carrot", "🥕"),
    _thing("pizza", "🍕", "slice of pizza", "pizza slice", plural="pizzas"),
    _thing("burger", "🍔", "hamburger"),
    _thing("cake", "🎂", "birthday cake"),
    _thing("cupcake", "🧁", "muffin"),
    _thing("donut", "🍩", "doughnut"),
    _thing("ice cream", "🍦", "ice cream cone", plural="ice creams"),
    _thing("cup of coffee", "☕", "coffee", "coffee cup", plural="cups of coffee"),
)

_NATURE = (
    _thing("tree", "🌳"),
    _thing("palm tree", "🌴", "palm"),
    _thing("pine tree", "🌲", "fir tree", "evergreen tree"),
    _thing("sunflower", "🌻"),
    _thing("rose", "🌹", "red rose"),
    _thing("tulip", "🌷", "pink tulip"),
    _thing("cactus", "🌵", plural="cactuses"),
    _thing("mushroom", "🍄", "toadstool"),
    _thing("campfire", "🔥", "fire"),
)

_THINGS = (
    _thing("house", "🏠", "home", "cottage"),
    _thing("castle", "🏰"),
    _thing("tent", "⛺"),
    _thing("umbrella", "☂", hue="purple"),
    _flyer("balloon", "🎈", hue="red"),
    _flyer("kite", "🪁"),
    _thing("guitar", "🎸", "electric guitar"),
    _thing("drum", "🥁"),
    _thing("soccer ball", "⚽", "football"),
    _thing("basketball", "🏀"),
    _thing("clock", "🕰", "mantel clock"),
    _thing("alarm clock", "⏰"),
    _thing("book", "📖", "open book"),
    _thing("camera", "📷"),
    _thing("gift", "🎁", "present", "gift box"),
    _thing("light bulb", "💡", "lightbulb"),
    _thing("laptop", "💻", "computer"),
    _thing("television", "📺", "TV"),
    _thing("chair", "🪑", "wooden chair"),
    _thing("lantern", "🏮", "paper lantern", "red lantern"),
    _thing("pumpkin", "🎃", "jack-o'-lantern", "halloween pumpkin"),
    _thing("bell", "🔔", "golden bell"),
)

SHAPES = tuple(
    Noun(name=name, glyph="", synonyms=synonyms)
    for name, synonyms in (
        ("circle", ("disc", "dot")),
        ("square", ()),
        ("triangle", ()),
        ("star", ("five-pointed star",)),
        ("heart", ()),
        ("diamond", ("rhombus",)),
    )
)

EMOJI_NOUNS = _WEARERS + _CREATURES + _VEHICLES + _FOOD + _NATURE + _THINGS

NOUNS: dict[str, Noun] = {noun.name: noun for noun in EMOJI_NOUNS + SHAPES}

ACCESSORIES = ("sunglasses", "hat", "crown")

# What the first checkpoint learns well; the others it has only met.
_COMMON = """
T-Rex dog cat lion penguin panda fox owl octopus fish robot snowman astronaut car rocket balloon
burger pizza apple tree palm_tree mushroom house castle
"""
COMMON_NOUNS = frozenset(name.replace("_", " ") for name in _COMMON.split())
