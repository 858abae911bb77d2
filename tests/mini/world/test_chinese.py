"""Chinese captions: only Chinese, naming every thing, its colour, the mood and the style."""

import re
from random import Random

import pytest
from example_scenes import scene_of, thing

from mini.world.chinese import ACCESSORIES, NUMBERS, STYLES, chinese_caption
from mini.world.colours import CHINESE_COLOURS
from mini.world.places import BACKGROUNDS
from mini.world.scene import MEDIUM, SMALL, Arrangement, Scene, Style
from mini.world.vocabulary import KIND_OF, NOUNS

ALLOWED = re.compile(r"(?:[\u4e00-\u9fff，、]|“[A-Za-z]+”)+")


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
        assert re.findall("[A-Z]+", text.upper()) == ([scene.word] if scene.word else []), text


def test_every_caption_names_every_thing_its_colour_and_what_it_wears(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        for item in scene.objects:
            colour = f"{CHINESE_COLOURS[item.colour]}的" if item.colour else ""
            names = list(NOUNS[item.noun].chinese)
            if item.noun in KIND_OF and not item.accessory:
                names.append(KIND_OF[item.noun].chinese)
            assert any(colour + name in text for name in names), (text, item)
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
            noun, number = scene.objects[0].noun, NUMBERS[len(scene.objects)]
            kind = KIND_OF.get(noun)
            counts = {NOUNS[noun].measure_word, kind.measure_word if kind else NOUNS[noun].measure_word}
            assert any(number + measure_word in text for measure_word in counts), text


def test_a_few_mentions_leave_open_which_one_of_its_kind_a_thing_is() -> None:
    texts = captions_of(scene_of(thing("dog", num_cells=SMALL)), num=2000)
    assert 0.02 < sum("动物" in text for text in texts) / len(texts) < 0.06
    assert not any("小动物" in text for text in texts)
    assert not any("动物" in text for text in captions_of(scene_of(thing("dog", accessory="hat")), num=1000))


def test_what_is_named_left_stands_left() -> None:
    pair = thing("lion", left=1, num_cells=MEDIUM), thing("castle", left=6, num_cells=MEDIUM)
    for text in captions_of(scene_of(*pair, arrangement=Arrangement.BESIDE)):
        lion, castle = re.search("狮子|动物", text), re.search("城堡|建筑", text)
        assert lion, text
        assert castle, text
        assert lion.start() < castle.start(), text


def test_where_things_are_is_not_said_twice_in_one_breath(captioned: list[tuple[Scene, str]]) -> None:
    for scene, text in captioned:
        assert "有左边" not in text
        if scene.arrangement in (Arrangement.ABOVE, Arrangement.ON, Arrangement.IN_FRONT):
            assert not re.search("在[^，]*在", text.removeprefix("在")), text


@pytest.mark.parametrize(
    ("scene", "text"),
    [
        (scene_of(thing("lion", accessory="sunglasses"), mood=1), "傍晚的海滩上有一头戴着墨镜的狮子"),
        (scene_of(thing("lion", num_cells=SMALL), style=Style.PENCIL), "铅笔画，一头小狮子在沙滩上"),
        (scene_of(thing("car", colour="blue"), background="plain red"), "红色背景前有一辆蓝色的汽车"),
        (scene_of(thing("lion"), thing("lion"), arrangement=Arrangement.COUNT), "在海滩上，两头狮子"),
        (scene_of(arrangement=Arrangement.SIGN, word="OPEN"), "海滩上有写着“OPEN”的牌子"),
        (scene_of(arrangement=Arrangement.EMPTY, mood=1), "傍晚的海滩上"),
        (scene_of(thing("lion"), thing("cake"), arrangement=Arrangement.BESIDE), "海滩上，左边一头狮子，右边一个蛋糕"),
        (scene_of(thing("table"), thing("cake"), arrangement=Arrangement.ON), "海滩上有一个蛋糕在一张桌子上"),
    ],
)
def test_captions_as_somebody_would_write_them(scene: Scene, text: str) -> None:
    assert text in captions_of(scene, num=2000)
