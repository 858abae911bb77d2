"""A shard's content depends on its number alone, and all parts of a sample tell of one scene."""

import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from example_scenes import scene_of, thing

from danqing.hunyuan_image3.tokenizer import Tokenizer
from mini.train import shards as shards_module
from mini.train.latents import LinearCode
from mini.train.layout_probe import layout_labels
from mini.train.recipe import GRID_SHARES
from mini.train.shards import ShardMaker, difficulty, draw_pictures, make_shards, sample_scenes, training_text
from mini.world.detailed_captions import detailed_caption
from mini.world.noise_words import CHINESE_WORDS, WORDS
from mini.world.scene import Grid, Style


@pytest.fixture
def workdir(tmp_path: Path, code: LinearCode, tokenizer_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a code and a vocabulary; shards are small."""
    monkeypatch.setattr(shards_module, "SHARD_SIZE", 4)
    monkeypatch.setattr(shards_module, "RENDER_BATCH", 2)
    # The vocabulary of the tests knows hardly a word.
    monkeypatch.setattr(shards_module, "MAX_PROMPT_TOKENS", 500)
    monkeypatch.setattr(shards_module, "MAX_EXPANSION_TOKENS", 800)
    (tmp_path / "mini").mkdir()
    code.save(tmp_path / "code.safetensors")
    (tmp_path / "mini" / "tokenizer.json").write_bytes(tokenizer_file.read_bytes())
    return tmp_path


def test_a_shard_depends_on_its_number_alone(workdir: Path, emoji_font_installed: None) -> None:
    random.seed("a")
    path = ShardMaker(workdir).make(5)
    first = torch.load(path)
    path.unlink()
    random.seed("b")
    second = torch.load(ShardMaker(workdir).make(5))
    rows, columns = first["latent"].shape[2:]
    assert Grid(columns, rows) in GRID_SHARES
    assert first["latent"].shape == (4, 16, rows, columns)
    assert first["labels"].shape == (4, rows, columns, 2)
    assert first["prompt_ids"].shape == first["unconditional_ids"].shape == (4, 3, 500)
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    other = torch.load(ShardMaker(workdir).make(6))
    assert not torch.equal(other["prompt_ids"], first["prompt_ids"])
    assert not list(workdir.rglob("*.partial"))


def test_the_parts_of_a_sample_tell_of_one_scene(
    workdir: Path, code: LinearCode, tokenizer_file: Path, monkeypatch: pytest.MonkeyPatch, emoji_font_installed: None
) -> None:
    drawn = []

    def remember(rng: random.Random, count: int, grid: Grid, *, tries: int):  # type: ignore[no-untyped-def]
        drawn.extend(sample_scenes(rng, count, grid, tries=tries))
        return drawn[-count:]

    monkeypatch.setattr(shards_module, "sample_scenes", remember)
    monkeypatch.setattr(shards_module, "training_text", lambda scene, rng: detailed_caption(scene))
    shard = torch.load(ShardMaker(workdir).make(7))
    expected = code.encode(draw_pictures(drawn, 32)).bfloat16()
    torch.testing.assert_close(shard["latent"], expected)
    assert torch.equal(shard["labels"], torch.stack([layout_labels(scene) for scene in drawn]))
    tokenizer = Tokenizer.from_file(tokenizer_file)
    for i, scene in enumerate(drawn):
        start, end = shard["expansion_spans"][i].tolist()
        assert tokenizer.decode(shard["expansion_ids"][i, start : end - 1].tolist()) == detailed_caption(scene)
        for k in range(3):
            ids = shard["prompt_ids"][i, k, shard["num_pads"][i, k] :].tolist()
            assert tokenizer.decode(ids[1:-3]) == detailed_caption(scene)


def test_a_shard_that_exists_is_left_alone(workdir: Path) -> None:
    maker = ShardMaker(workdir)
    (workdir / "shards" / "shard-00003.pt").write_bytes(b"finished")
    assert maker.make(3).read_bytes() == b"finished"


def test_several_processes_draw_the_same_shards_as_one(workdir: Path, emoji_font_installed: None) -> None:
    (workdir / "shards").mkdir()
    for number in (0, 1):
        (workdir / "shards" / f"shard-{number:05d}.pt").write_bytes(b"finished")
    # The small sizes of these tests do not reach other processes, so they only look.
    make_shards(workdir, range(2), num_processes=2)
    assert sorted(path.name for path in (workdir / "shards").iterdir()) == ["shard-00000.pt", "shard-00001.pt"]


def test_pictures_fill_the_unit_range(emoji_font_installed: None) -> None:
    pictures = draw_pictures(sample_scenes(random.Random(0), 3, Grid(10, 6)), 16)
    assert (pictures.shape, pictures.dtype) == ((3, 3, 96, 160), torch.float32)
    assert -1 <= pictures.min() < -0.5
    assert 0.5 < pictures.max() <= 1
    assert pictures.std() > 0.1


def test_most_texts_are_captions_some_detailed_some_chinese_and_few_say_nothing() -> None:
    scene, rng = scene_of(thing("dog")), random.Random(0)
    kinds: Counter[str] = Counter()
    for _ in range(4000):
        text = training_text(scene, rng)
        if text == detailed_caption(scene):
            kinds["detailed"] += 1
        elif all(part in WORDS + CHINESE_WORDS for part in re.split(", |，", text)):
            kinds["nothing"] += 1
        elif not text.isascii():
            kinds["chinese"] += 1
    assert kinds["detailed"] / 4000 == pytest.approx(0.12, abs=0.03)
    assert kinds["chinese"] / 4000 == pytest.approx(0.10, abs=0.03)
    assert kinds["nothing"] / 4000 == pytest.approx(0.02, abs=0.01)


def test_what_is_learned_late_is_hard() -> None:
    plain = scene_of(thing("dog"))
    assert difficulty(plain) == 0
    assert difficulty(scene_of(thing("dog", colour="blue"))) == 1
    assert difficulty(scene_of(thing("chef"), thing("wizard", colour="red"))) == 3
    assert difficulty(scene_of(thing("circle", colour="red"))) == 0
    assert difficulty(replace(plain, style=Style.NEON)) == 1


def test_the_hardest_of_several_scenes_is_drawn() -> None:
    def mean(tries: int) -> float:
        scenes = sample_scenes(random.Random(0), 300, Grid(10, 6), tries=tries)
        return sum(map(difficulty, scenes)) / len(scenes)

    assert mean(2) > 1.3 * mean(1)
