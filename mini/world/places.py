"""The places of the world, and plain backgrounds: their words in two languages, and their moods.

A mood is one variant of a place's picture, known by its index; the first is the usual one. In a place without ground
everything floats.
"""

from dataclasses import dataclass

from mini.world.colours import CHINESE_COLOURS, COLOURS


@dataclass(frozen=True)
class Mood:
    """The painters' name for it, and words that are true only of it among the moods of its place."""

    name: str
    english: tuple[str, ...]
    chinese: str  # "雨中": goes before the place, joined to it by 的.


@dataclass(frozen=True, kw_only=True)
class Background:
    name: str
    where: tuple[str, ...]  # "on a beach": follows a thing.
    what: tuple[str, ...]  # "a sandy beach": stands alone.
    chinese: tuple[str, ...]  # "海滩上": follows 在.
    variants: tuple[Mood, ...]
    has_ground: bool = True

    @property
    def is_plain(self) -> bool:
        return self.name.startswith("plain ")

    @property
    def moods(self) -> tuple[tuple[str, ...], ...]:
        return tuple(mood.english for mood in self.variants)

    @property
    def chinese_moods(self) -> tuple[str, ...]:
        """Return one phrase for each mood, empty for the usual one."""
        return tuple(mood.chinese for mood in self.variants)


DAY = Mood("day", ("on a sunny day", "under a blue sky", "in the sunshine"), "")
EVENING = Mood("evening", ("in the evening", "in the evening light", "at dusk"), "傍晚")
NIGHT = Mood("night", ("at night", "by night", "under the stars"), "夜晚")
RAIN = Mood("rain", ("in the rain", "on a rainy day", "while it is raining"), "雨中")
SNOWFALL = Mood("snowfall", ("while it is snowing", "with falling snow", "in a snowfall"), "下雪天")
FOG = Mood("fog", ("in the fog", "in the mist", "on a foggy day"), "雾中")
OUTDOORS = (DAY, EVENING, NIGHT, RAIN, SNOWFALL, FOG)


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
        chinese=(f"{CHINESE_COLOURS[colour]}背景前", f"纯{CHINESE_COLOURS[colour]}背景前"),
        variants=(Mood("plain", (), ""),),
        has_ground=False,
    )


_PLACES = (
    Background(
        name="beach",
        where=("on a beach", "at the beach", "on the beach", "on a sandy beach", "on the beach by the sea"),
        what=("a beach", "a sandy beach", "a tropical beach", "the seaside"),
        chinese=("海滩上", "沙滩上"),
        variants=(DAY, EVENING, NIGHT, RAIN, FOG),
    ),
    Background(
        name="city",
        where=("in a city at night", "in a night city", "in front of a city skyline at night", "in the city at night"),
        what=("a city at night", "a night city", "a city skyline at night"),
        chinese=("夜晚的城市里", "夜色中的城市里"),
        variants=(
            Mood("night", (), ""),
            Mood("moon", ("under the moon", "under a full moon"), "月光下"),
            Mood("neon", ("with neon lights",), "霓虹灯下"),
            Mood("rain", ("in the rain", "on a rainy night", "while it is raining"), "雨中"),
            Mood("snowfall", ("while it is snowing", "with falling snow", "in a snowfall"), "下雪天"),
            Mood("fog", ("in the fog", "in the mist", "on a foggy night"), "雾中"),
        ),
    ),
    Background(
        name="meadow",
        where=("in a meadow", "on a meadow", "on green grass", "on the grass", "in a green field"),
        what=("a meadow", "a green meadow", "a grassy field", "green hills"),
        chinese=("草地上", "青草地上"),
        variants=(*OUTDOORS, Mood("flowers", ("full of flowers", "with many flowers"), "开满鲜花")),
    ),
    Background(
        name="snow",
        where=("in the snow", "in a snowy landscape", "on snow", "in a winter landscape"),
        what=("a snowy landscape", "a winter landscape", "snow"),
        chinese=("雪地里", "雪地上"),
        variants=(DAY, EVENING, NIGHT, SNOWFALL, FOG),
    ),
    Background(
        name="desert",
        where=("in a desert", "in the desert", "in the sandy desert", "among sand dunes"),
        what=("a desert", "the desert", "sand dunes"),
        chinese=("沙漠里", "沙漠中"),
        variants=(DAY, EVENING, NIGHT, Mood("sandstorm", ("in a sandstorm", "in a dust storm"), "沙尘暴中")),
    ),
    Background(
        name="space",
        where=("in space", "in outer space", "floating in space", "among the stars"),
        what=("outer space", "space", "a starry universe"),
        chinese=("太空中", "宇宙中"),
        variants=(
            Mood("planet", ("with a planet", "near a planet"), ""),
            Mood("nebula", ("with a purple nebula",), "有紫色星云"),
            Mood("moon", ("with the moon", "near the moon"), "有月球"),
        ),
        has_ground=False,
    ),
    Background(
        name="underwater",
        where=("underwater", "under water", "under the sea", "at the bottom of the sea", "in the ocean"),
        what=("the sea floor", "an underwater world", "the deep sea"),
        chinese=("水下", "海底"),
        variants=(
            Mood("clear", ("in clear water",), ""),
            Mood("deep", ("in deep blue water",), "深蓝色"),
            Mood("corals", ("with corals", "near a coral reef"), "有珊瑚"),
        ),
        has_ground=False,
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
        chinese=("夕阳下", "日落海边"),
        variants=(
            Mood("orange", ("with an orange sky",), ""),
            Mood("pink", ("with a pink sky",), "粉色"),
            Mood("purple", ("with a purple sky",), "紫色"),
        ),
    ),
    Background(
        name="road",
        where=("on a road", "on the road", "in the middle of a road", "on a highway"),
        what=("a road", "a country road", "a long road"),
        chinese=("公路上", "马路上"),
        variants=OUTDOORS,
    ),
    Background(
        name="room",
        where=("in a room", "in a living room", "indoors", "inside a room", "at home"),
        what=("a room", "a living room", "a cosy room"),
        chinese=("房间里", "客厅里"),
        variants=(
            Mood("blue", ("with blue walls",), ""),
            Mood("green", ("with green walls",), "绿墙"),
            Mood("pink", ("with pink walls",), "粉墙"),
        ),
    ),
    Background(
        name="forest",
        where=("in a forest", "in the forest", "in the woods", "among the trees"),
        what=("a forest", "a deep forest", "the woods"),
        chinese=("森林里", "树林里"),
        variants=(*OUTDOORS, Mood("autumn", ("in autumn", "with autumn trees"), "秋天")),
    ),
    Background(
        name="mountains",
        where=("in the mountains", "in front of mountains", "in a mountain landscape", "with mountains behind"),
        what=("mountains", "a mountain landscape", "snow-capped mountains"),
        chinese=("群山前", "山里"),
        variants=(*OUTDOORS, Mood("dawn", ("at dawn", "in the morning"), "清晨")),
    ),
    Background(
        name="garden",
        where=("in a garden", "in the garden", "among flower beds", "in a flower garden"),
        what=("a garden", "a flower garden", "a garden with a white fence"),
        chinese=("花园里", "花园中"),
        variants=OUTDOORS,
    ),
    Background(
        name="lake",
        where=("by a lake", "at the lake", "by a mountain lake", "on the shore of a lake", "at a lake"),
        what=("a lake", "a mountain lake", "a lake with a jetty"),
        chinese=("湖边", "山间的湖边"),
        variants=OUTDOORS,
    ),
    Background(
        name="farm",
        where=("on a farm", "at the farm", "on the farm", "in front of a red barn"),
        what=("a farm", "a farm with a red barn", "a red barn and fields"),
        chinese=("农场里", "农场上"),
        variants=OUTDOORS,
    ),
    Background(
        name="street",
        where=("on a street", "in the street", "on a shopping street", "in front of shops", "in a town"),
        what=("a street", "a shopping street", "a street with shops", "a town"),
        chinese=("街道上", "商店街上"),
        variants=OUTDOORS,
    ),
)

PLACES = {place.name: place for place in _PLACES}
PLAIN = {plain.name: plain for plain in map(_plain, COLOURS)}
BACKGROUNDS: dict[str, Background] = PLACES | PLAIN
