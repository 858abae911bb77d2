"""The places of the world: their words, their moods, and where things stand in them. Knows nothing of drawing.

Ground and sky are fractions of the height, top first: feet of standing things fall within `ground`, centres of flying
ones within `sky`. A place without ground lets everything float.
"""

from dataclasses import dataclass

from danqing.training.scenes.colours import COLOURS

Band = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Background:
    """A place. Each mood is one variant of its picture, with words that are true of that variant alone."""

    name: str
    where: tuple[str, ...]  # "on a beach": follows a thing.
    what: tuple[str, ...]  # "a sandy beach": stands alone.
    moods: tuple[tuple[str, ...], ...]
    ground: Band | None
    sky: Band = (0.10, 0.38)

    @property
    def is_plain(self) -> bool:
        return self.name.startswith("plain ")


def _plain(colour: str) -> Background:
    article = "an" if colour[0] in "aeiou" else "a"
    return Background(
        name=f"plain {colour}",
        where=(
            f"on {article} {colour} background",
            f"on a plain {colour} background",
            f"against {article} {colour} background",
            f"in front of {article} {colour} background",
            f"on {colour}",
        ),
        what=(f"{article} {colour} background", f"a plain {colour} background"),
        moods=((),),
        ground=None,
    )


_PLACES = (
    Background(
        name="beach",
        where=("on a beach", "at the beach", "on the beach", "on a sandy beach", "on the beach by the sea"),
        what=("a beach", "a sandy beach", "a tropical beach", "the seaside"),
        moods=(("on a sunny day", "in the sun"), ("in the evening", "in the evening light"), ("at night", "by night")),
        ground=(0.76, 0.95),
        sky=(0.10, 0.36),
    ),
    Background(
        name="city",
        where=("in a city at night", "in a night city", "in front of a city skyline at night", "in the city at night"),
        what=("a city at night", "a night city", "a city skyline at night"),
        moods=((), ("under the moon", "under a full moon"), ("with neon lights",)),
        ground=(0.86, 0.96),
    ),
    Background(
        name="meadow",
        where=("in a meadow", "on a meadow", "on green grass", "on the grass", "in a green field"),
        what=("a meadow", "a green meadow", "a grassy field", "green hills"),
        moods=(
            ("on a sunny day", "under a blue sky"),
            ("in the evening", "in the evening light"),
            ("full of flowers",),
        ),
        ground=(0.76, 0.95),
    ),
    Background(
        name="snow",
        where=("in the snow", "in a snowy landscape", "on snow", "in a winter landscape"),
        what=("a snowy landscape", "a winter landscape", "snow"),
        moods=(
            ("on a clear day", "under a blue sky"),
            ("while it is snowing", "with falling snow"),
            ("at night", "by night"),
        ),
        ground=(0.76, 0.95),
    ),
    Background(
        name="desert",
        where=("in a desert", "in the desert", "in the sandy desert", "among sand dunes"),
        what=("a desert", "the desert", "sand dunes"),
        moods=(
            ("on a hot day", "in the hot sun"),
            ("in the evening", "in the evening light"),
            ("at night", "by night"),
        ),
        ground=(0.76, 0.95),
    ),
    Background(
        name="space",
        where=("in space", "in outer space", "floating in space", "among the stars"),
        what=("outer space", "space", "a starry universe"),
        moods=(("with a planet", "near a planet"), ("with a purple nebula",), ("with the moon", "near the moon")),
        ground=None,
    ),
    Background(
        name="underwater",
        where=("underwater", "under water", "under the sea", "at the bottom of the sea", "in the ocean"),
        what=("the sea floor", "an underwater world", "the deep sea"),
        moods=(("in clear water",), ("in deep blue water",), ("with corals", "near a coral reef")),
        ground=None,
    ),
    Background(
        name="sunset",
        where=(
            "at sunset",
            "in front of a sunset over the sea",
            "at sunset over the sea",
            "in front of the setting sun",
        ),
        what=("a sunset over the sea", "a sunset", "the setting sun over the ocean"),
        moods=(("with an orange sky",), ("with a pink sky",), ("with a purple sky",)),
        ground=(0.86, 0.96),
    ),
    Background(
        name="road",
        where=("on a road", "on the road", "on a street", "in the middle of a road", "on a highway"),
        what=("a road", "a country road", "a long road"),
        moods=(
            ("on a sunny day", "under a blue sky"),
            ("in the evening", "in the evening light"),
            ("at night", "by night"),
        ),
        ground=(0.76, 0.95),
    ),
    Background(
        name="room",
        where=("in a room", "in a living room", "indoors", "inside a room", "at home"),
        what=("a room", "a living room", "a cosy room"),
        moods=(("with blue walls",), ("with green walls",), ("with pink walls",)),
        ground=(0.80, 0.95),
    ),
    Background(
        name="forest",
        where=("in a forest", "in the forest", "in the woods", "among the trees"),
        what=("a forest", "a deep forest", "the woods"),
        moods=(("in summer",), ("in autumn", "with autumn trees"), ("in the fog", "in the mist")),
        ground=(0.80, 0.95),
    ),
    Background(
        name="mountains",
        where=("in the mountains", "in front of mountains", "in a mountain landscape", "with mountains behind"),
        what=("mountains", "a mountain landscape", "snow-capped mountains"),
        moods=(
            ("on a sunny day", "under a blue sky"),
            ("in the evening", "in the evening light"),
            ("at dawn", "in the morning"),
        ),
        ground=(0.78, 0.95),
    ),
)

PLACES = {place.name: place for place in _PLACES}
PLAIN = {plain.name: plain for plain in map(_plain, COLOURS)}
BACKGROUNDS: dict[str, Background] = PLACES | PLAIN
