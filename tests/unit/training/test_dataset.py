"""Shards become batches of one grid, padded on the left; a shard's content depends on its number alone."""

import random
from collections import Counter
from pathlib import Path

import pytest
import torch
from example_scenes import scene_of, thing

from danqing.hunyuan_image3.prompt_template import PromptTemplate
from danqing.hunyuan_image3.tokenizer import Tokenizer
from danqing.training import dataset as dataset_module
from danqing.training.dataset import BUCKETS, IGNORED, Dataset, draw_pictures, draw_scenes, make_shard, training_text
from danqing.training.latents import LinearCode
from danqing.training.layout_labels import layout_labels
from danqing.training.recipe import GRID_SHARES
from danqing.training.scenes.details import detailed_caption
from danqing.training.scenes.grid import Grid


@pytest.fixture
def dataset(shards: Path, template: PromptTemplate) -> Dataset:
    dataset = Dataset(shards, template)
    assert dataset.refresh() == 52
    return dataset


@pytest.fixture
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.from_file(tokenizer_file)


def test_every_batch_has_one_grid_and_texts_that_end_together(dataset: Dataset, tokenizer: Tokenizer) -> None:
    batches = list(dataset.epoch(random.Random(0), batch_size=4))
    assert {batch.latent_BChw.shape[1:] for batch in batches} == {(16, 6, 10), (16, 8, 8)}
    assert any(batch.num_pads_B.any() for batch in batches)
    for batch in batches:
        assert 2 <= len(batch.token_ids_BL) == len(batch.latent_BChw) == len(batch.labels_Bhw2) <= 4
        assert batch.num_pads_B.min() == 0
        h, w = batch.latent_BChw.shape[2:]
        ratio = tokenizer.image_ratio(BUCKETS.nearest(width_px=64 * w, height_px=64 * h).ratio_index)
        for ids, masked, pads in zip(
            batch.token_ids_BL, batch.unconditional_ids_BL, batch.num_pads_B.tolist(), strict=True
        ):
            assert ids[pads] == masked[pads] == tokenizer.start
            assert ids[-1] == masked[-1] == ratio
            assert torch.equal(ids[:pads], masked[:pads])
            changed = ids != masked
            assert changed.any()
            assert (masked[changed] == tokenizer.unconditional).all()


def test_an_epoch_shows_no_sample_twice_and_leaves_less_than_half_a_batch_of_each_grid(dataset: Dataset) -> None:
    seen = [
        latent.float().sum().item()
        for batch in dataset.epoch(random.Random(0), batch_size=8)
        for latent in batch.latent_BChw
    ]
    assert len(seen) == len(set(seen))
    # 30 samples fill three batches and most of a fourth, 22 two and most of a third.
    assert len(seen) == 52


def test_epochs_follow_their_seed(dataset: Dataset) -> None:
    def order(seed: int) -> list[float]:
        return [batch.latent_BChw.float().sum().item() for batch in dataset.epoch(random.Random(seed), batch_size=4)]

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_texts_and_labels_stay_with_their_latents(dataset: Dataset, shards: Path, tokenizer: Tokenizer) -> None:
    known = {}
    for path in shards.glob("*.pt"):
        shard = torch.load(path)
        for texts, latent, labels in zip(shard["texts"], shard["latent"], shard["labels"], strict=True):
            known[latent.float().sum().item()] = texts, labels
    told = set()
    for seed in range(4):
        for batch in dataset.epoch(random.Random(seed), batch_size=2):
            for b, latent in enumerate(batch.latent_BChw):
                texts, labels = known[latent.float().sum().item()]
                text = tokenizer.decode(batch.token_ids_BL[b, batch.num_pads_B[b] :].tolist())
                assert text in texts
                assert torch.equal(batch.labels_Bhw2[b], labels.long())
                told.add((latent.float().sum().item(), text))
    # Another epoch, another of its texts.
    assert len(told) > 1.5 * len(known)


def test_texts_of_like_length_share_a_batch(dataset: Dataset) -> None:
    batches = list(dataset.epoch(random.Random(0), batch_size=4))
    num_pads = sum(int(batch.num_pads_B.sum()) for batch in batches)
    num_tokens = sum(batch.token_ids_BL.numel() for batch in batches)
    assert num_pads < 0.25 * num_tokens


def test_the_shares_of_a_team_make_up_the_batch(dataset: Dataset) -> None:
    batch = next(dataset.epoch(random.Random(0), batch_size=4))
    shares = [batch.share(rank, 2) for rank in range(2)]
    for name, whole in vars(batch).items():
        first, second = (getattr(share, name) for share in shares)
        assert torch.equal(torch.stack([first, second], dim=1).flatten(0, 1), whole), name


def test_a_text_batch_teaches_the_detailed_caption_and_nothing_else(
    dataset: Dataset, template: PromptTemplate, tokenizer: Tokenizer, shards: Path
) -> None:
    pairs = [tuple(pair) for path in shards.glob("*.pt") for pair in torch.load(path)["recaptions"]]
    batch = dataset.text_batch(random.Random(0), batch_size=6)
    assert batch.token_ids_BL.shape == batch.targets_BL.shape
    for ids, targets in zip(batch.token_ids_BL.tolist(), batch.targets_BL.tolist(), strict=True):
        learned = [i for i, target in enumerate(targets) if target != IGNORED]
        first, last = learned[0], learned[-1]
        assert learned == list(range(first, last + 1))
        assert targets[first : last + 1] == ids[first + 1 : last + 2]
        assert targets[last] == template.recaption_end_id
        detailed = tokenizer.decode(targets[first:last])
        assert ids[: first + 1] in [template.recaption_prefix(short) for short, known in pairs if known == detailed]
        assert not any(ids[last + 2 :])


def test_new_shards_join_and_known_ones_are_not_read_again(dataset: Dataset, shards: Path) -> None:
    assert dataset.refresh() == 52
    (shards / "shard-00002.pt").write_bytes((shards / "shard-00001.pt").read_bytes())
    assert dataset.refresh() == 52 + 22


def test_a_shard_depends_on_its_number_alone(
    tmp_path: Path, code: LinearCode, monkeypatch: pytest.MonkeyPatch, emoji_font_installed: None
) -> None:
    monkeypatch.setattr(dataset_module, "SHARD_SIZE", 4)
    monkeypatch.setattr(dataset_module, "RENDER_BATCH", 2)
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        random.seed(name)
        made.append(torch.load(make_shard(5, tmp_path / name, code=code)))
    first, second = made
    columns, rows = first["grid"]
    assert Grid(columns, rows) in GRID_SHARES
    assert first["latent"].shape == (4, 16, rows, columns)
    assert first["labels"].shape == (4, rows, columns, 2)
    assert [len(texts) for texts in first["texts"]] == [3] * 4
    assert len(first["recaptions"]) == 4
    for key, value in first.items():
        assert torch.equal(value, second[key]) if isinstance(value, torch.Tensor) else value == second[key], key
    other = torch.load(make_shard(6, tmp_path / "a", code=code))
    assert other["texts"] != first["texts"]
    assert not list(tmp_path.rglob("*.partial"))


def test_the_parts_of_a_sample_tell_of_one_scene(
    tmp_path: Path, code: LinearCode, monkeypatch: pytest.MonkeyPatch, emoji_font_installed: None
) -> None:
    monkeypatch.setattr(dataset_module, "SHARD_SIZE", 4)
    monkeypatch.setattr(dataset_module, "RENDER_BATCH", 2)
    drawn = []

    def remember(rng: random.Random, count: int, grid: Grid):  # type: ignore[no-untyped-def]
        drawn.extend(draw_scenes(rng, count, grid))
        return drawn[-count:]

    monkeypatch.setattr(dataset_module, "draw_scenes", remember)
    shard = torch.load(make_shard(7, tmp_path, code=code))
    expected = code.encode(draw_pictures(drawn, 32)).bfloat16()
    torch.testing.assert_close(shard["latent"], expected)
    assert torch.equal(shard["labels"], torch.stack([layout_labels(scene) for scene in drawn]))
    assert [detailed for _, detailed in shard["recaptions"]] == [detailed_caption(scene) for scene in drawn]


def test_a_shard_that_exists_is_left_alone(tmp_path: Path, code: LinearCode) -> None:
    (tmp_path / "shard-00003.pt").write_bytes(b"finished")
    assert make_shard(3, tmp_path, code=code).read_bytes() == b"finished"


def test_pictures_fill_the_unit_range(emoji_font_installed: None) -> None:
    pictures = draw_pictures(draw_scenes(random.Random(0), 3, Grid(10, 6)), 16)
    assert (pictures.shape, pictures.dtype) == ((3, 3, 96, 160), torch.float32)
    assert -1 <= pictures.min() < -0.5
    assert 0.5 < pictures.max() <= 1
    assert pictures.std() > 0.1


def test_most_texts_are_captions_some_detailed_some_chinese() -> None:
    scene, rng = scene_of(thing("dog")), random.Random(0)
    kinds: Counter[str] = Counter()
    for _ in range(2000):
        text = training_text(scene, rng)
        kinds["detailed" if text == detailed_caption(scene) else "caption" if text.isascii() else "chinese"] += 1
    assert kinds["detailed"] / 2000 == pytest.approx(0.12, abs=0.03)
    assert kinds["chinese"] / 2000 == pytest.approx(0.10, abs=0.03)
