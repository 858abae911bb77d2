"""Captions: true of the picture, naming what is in it, in many words."""

from random import Random

from danqing.training.scenes.captions import MAX_WORDS, caption
from danqing.training.scenes.evaluation_set import evaluation_prompts
from danqing.training.scenes.scene import Scene, SceneObject, is_held_out, sample_scene
from danqing.training.scenes.vocabulary import NOUNS


def _object(noun: str, **changes: object) -> SceneObject:
    return SceneObject(**{"noun": noun, "x": 0.5, "y": 0.9, "size": 0.5, **changes})  # type: ignore[arg-type]


def _scene(*objects: SceneObject, background: str = "beach", mood: int = 0) -> Scene:
    return Scene(background=background, mood=mood, mirrored=False, objects=objects)


def _captions(scene: Scene, num: int = 400) -> list[str]:
    rng = Random(2)
    return [caption(scene, rng) for _ in range(num)]


def test_the_same_seed_writes_the_same_caption() -> None:
    scene = sample_scene(Random(1))
    assert caption(scene, Random(6)) == caption(scene, Random(6))


def test_every_caption_names_every_noun() -> None:
    rng = Random(4)
    for _ in range(3000):
        scene = sample_scene(rng, rng.choice((0.5, 1.0, 2.0)))
        text = caption(scene, rng).lower()
        for item in scene.objects:
            noun = NOUNS[item.noun]
            names = (noun.name, noun.plural or noun.name, *noun.synonyms)
            assert any(name.lower() in text for name in names), (text, item.noun)


def test_captions_are_short_enough_and_long_enough_on_average() -> None:
    rng = Random(7)
    counts = [len(caption(sample_scene(rng), rng).split()) for _ in range(2000)]
    assert max(counts) <= MAX_WORDS
    assert 9 < sum(counts) / len(counts) < 16


def test_left_and_right_are_said_of_the_right_things() -> None:
    texts = _captions(_scene(_object("dog", x=0.25), _object("castle", x=0.75)))
    assert any("on the left" in text for text in texts)
    for text in map(str.lower, texts):
        text = text.replace("puppy", "dog").replace("doggy", "dog")
        assert "castle on the left" not in text
        assert "dog on the right" not in text
        assert "castle to the left" not in text
        assert "dog to the right" not in text


def test_a_thing_in_the_middle_is_never_said_to_be_left_or_right() -> None:
    for text in _captions(_scene(_object("dog"))):
        assert "left" not in text.lower()
        assert "right" not in text.lower()


def test_nothing_is_worn_that_the_picture_does_not_show() -> None:
    for text in map(str.lower, _captions(_scene(_object("dog")))):
        assert "wearing" not in text
        assert "lounger" not in text


def test_the_documented_example_is_among_the_captions_of_its_scene() -> None:
    scene = _scene(_object("T-Rex", accessory="sunglasses", on_lounger=True))
    texts = _captions(scene, 40000)
    example = "A T-Rex relaxing on a beach, lying on a sun lounger and wearing sunglasses."
    assert example in texts
    assert f"{example} Realistic photo." in texts


def test_an_article_fits_the_sound_that_follows() -> None:
    for noun, article in (
        ("UFO", "a UFO"),
        ("unicorn", "a unicorn"),
        ("elephant", "an elephant"),
        ("apple", "an apple"),
    ):
        texts = [text.lower() for text in _captions(_scene(_object(noun)))]
        assert any(article.lower() in text for text in texts), noun
        wrong = ("an " if article.startswith("a ") else "a ") + noun.lower()
        assert not any(f" {wrong}" in f" {text}" for text in texts), noun


def test_counts_use_the_plural() -> None:
    scene = _scene(
        _object("strawberry", x=0.2, size=0.2), _object("strawberry", size=0.2), _object("strawberry", x=0.8)
    )
    assert all("three strawberries" in text.lower() for text in _captions(scene))


def test_the_evaluation_set_repeats_itself_and_holds_only_held_out_scenes() -> None:
    prompts = evaluation_prompts(50)
    assert prompts == evaluation_prompts(50)
    for entry in prompts:
        assert any(is_held_out(noun, entry.background) for noun in entry.nouns)
