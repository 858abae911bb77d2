"""Chinese captions: only Chinese, naming every thing, its colour, the mood and the style."""

import re
from random import Random

import pytest
from example_scenes import scene_of, thing

from danqing.training.scenes.backgrounds import BACKGROUNDS
from danqing.training.scenes.chinese import ACCESSORIES, NUMBERS, STYLES, chinese_caption
from danqing.training.scenes.colours import CHINESE_COLOURS
from danqing.training.scenes.grid import MEDIUM, SMALL
from danqing.training.scenes.scene import Arrangement, Scene, Style
from danqing.training.scenes.vocabulary import NOUNS

ALLOWED = re.compile(r"(?:[\u4e00-\u9fff，、]|“[A-Z]+”)+")


@pytest.fixture(scope="module")
def captioned(training_scenes: list[Scene]) -> list[tuple[Scene, str]]:
    rng = Random(4)
    return [(scene, chinese_caption(scene, rng)) for scene in training_scenes]


def captions_of(scene: Scene, num: int = 100) -> list[str]:
    rng = Random(2)
    return [chinese_caption(scene, rng) for _ in range(num)]


def test_a_caption_holds_only_chinese_and_the_letters_of_a_sign(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        assert ALLOWED.fullmatch(text), text
        assert re.findall("[A-Z]+", text) == ([scene.word] if scene.word else []), text


def test_every_caption_names_every_thing_its_colour_and_what_it_wears(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        for item in scene.objects:
            colour = f"{CHINESE_COLOURS[item.colour]}的" if item.colour else ""
            assert any(colour + name in text for name in NOUNS[item.noun].chinese), (text, item)
            assert (ACCESSORIES[item.accessory] if item.accessory else "") in text, (text, item)


def test_every_caption_names_the_place_an_unusual_mood_and_the_style(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        place = BACKGROUNDS[scene.background]
        mood = f"{place.chinese_moods[scene.mood]}的" if scene.mood else ""
        assert any(mood + where in text for where in place.chinese), (text, scene)
        assert text.startswith(STYLES[scene.style])
        assert scene.style is not Style.FLAT or not text.startswith(tuple(filter(None, STYLES.values())))


def test_the_number_said_is_the_number_drawn(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        if scene.arrangement is Arrangement.COUNT:
            assert NUMBERS[len(scene.objects)] + NOUNS[scene.objects[0].noun].measure_word in text, text


def test_what_is_named_left_stands_left() -> None:
    pair = thing("lion", left=1, num_cells=MEDIUM), thing("castle", left=6, num_cells=MEDIUM)
    for text in captions_of(scene_of(*pair, arrangement=Arrangement.BESIDE)):
        assert text.index("狮子") < text.index("城堡"), text
        assert "左边城堡" not in text


@pytest.mark.parametrize(
    ("scene", "text"),
    [
        (scene_of(thing("lion", accessory="sunglasses"), mood=1), "傍晚的海滩上有一头戴着墨镜的狮子"),
        (scene_of(thing("lion", num_cells=SMALL), style=Style.PENCIL), "铅笔画，一头小狮子在沙滩上"),
        (scene_of(thing("car", colour="blue"), background="plain red"), "红色背景前有一辆蓝色的汽车"),
        (scene_of(thing("lion"), thing("lion"), arrangement=Arrangement.COUNT), "在海滩上，两头狮子"),
        (scene_of(arrangement=Arrangement.SIGN, word="OPEN"), "海滩上有写着“OPEN”的牌子"),
        (scene_of(arrangement=Arrangement.EMPTY, mood=1), "傍晚的海滩上"),
        (scene_of(thing("table"), thing("cake"), arrangement=Arrangement.ON), "海滩上有一个蛋糕在一张桌子上"),
    ],
)
def test_captions_as_somebody_would_write_them(scene: Scene, text: str) -> None:
    assert text in captions_of(scene, num=2000)
