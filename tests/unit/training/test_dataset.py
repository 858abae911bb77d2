"""Shards become batches that need no padding, and a shard's content depends on its number alone."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from danqing.hunyuan_image3.prompt_template import PromptTemplate
from danqing.hunyuan_image3.tokenizer import Tokenizer
from danqing.training import dataset as dataset_module
from danqing.training.dataset import BUCKETS, Dataset, draw_samples, make_shard
from danqing.training.latents import LinearCode
from danqing.training.recipe import BUCKET_SHARES


@pytest.fixture
def dataset(shards: Path, template: PromptTemplate) -> Dataset:
    dataset = Dataset(shards, template)
    assert dataset.refresh() == 52
    return dataset


def test_every_batch_has_one_bucket_and_one_length_of_text(dataset: Dataset, tokenizer_file: Path) -> None:
    tokenizer = Tokenizer.from_file(tokenizer_file)
    batches = list(dataset.epoch(random.Random(0), batch_size=4))
    assert len({batch.token_ids_BL.shape[1] for batch in batches}) > 1
    assert {batch.latent_BChw.shape[1:] for batch in batches} == {(16, 6, 10), (16, 8, 8)}
    for batch in batches:
        assert 2 <= len(batch.token_ids_BL) == len(batch.latent_BChw) <= 4
        assert batch.token_ids_BL.shape == batch.unconditional_ids_BL.shape
        h, w = batch.latent_BChw.shape[2:]
        ratio = tokenizer.image_ratio(BUCKETS.nearest(width_px=64 * w, height_px=64 * h).ratio_index)
        assert (batch.token_ids_BL[:, -1] == ratio).all()
        masked = batch.token_ids_BL != batch.unconditional_ids_BL
        assert masked.any(1).all()
        assert (batch.unconditional_ids_BL[masked] == tokenizer.unconditional).all()


def test_an_epoch_shows_no_sample_twice_and_leaves_less_than_a_batch_of_each_kind(dataset: Dataset) -> None:
    seen = [
        latent.float().sum().item()
        for batch in dataset.epoch(random.Random(0), batch_size=4)
        for latent in batch.latent_BChw
    ]
    assert len(seen) == len(set(seen))
    num_kinds = 2 * 5  # buckets x captions
    assert len(seen) > 52 - 4 * num_kinds


def test_epochs_follow_their_seed(dataset: Dataset) -> None:
    def order(seed: int) -> list[float]:
        return [batch.latent_BChw.float().sum().item() for batch in dataset.epoch(random.Random(seed), batch_size=4)]

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_captions_stay_with_their_latents(shards: Path, template: PromptTemplate, tokenizer_file: Path) -> None:
    tokenizer = Tokenizer.from_file(tokenizer_file)
    captions = {}
    for path in shards.glob("*.pt"):
        shard = torch.load(path)
        for text, latent in zip(shard["captions"], shard["latent"], strict=True):
            captions[latent.float().sum().item()] = text
    dataset = Dataset(shards, template)
    dataset.refresh()
    for batch in dataset.epoch(random.Random(0), batch_size=2):
        for ids, latent in zip(batch.token_ids_BL, batch.latent_BChw, strict=True):
            assert tokenizer.decode(ids.tolist()) == captions[latent.float().sum().item()]


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
        make_shard(5, tmp_path / name, code=code)
        made.append(torch.load(tmp_path / name / "shard-00005.pt"))
    first, second = made
    assert first["captions"] == second["captions"]
    assert first["size"] == second["size"]
    assert first["size"] in BUCKET_SHARES
    assert torch.equal(first["latent"], second["latent"])
    assert first["latent"].shape == (4, 16, first["size"][1] // 64, first["size"][0] // 64)
    other = torch.load(make_shard(6, tmp_path / "a", code=code))
    assert other["captions"] != first["captions"]
    assert not list(tmp_path.rglob("*.partial"))


def test_a_shard_that_exists_is_left_alone(tmp_path: Path, code: LinearCode) -> None:
    (tmp_path / "shard-00003.pt").write_bytes(b"finished")
    assert make_shard(3, tmp_path, code=code).read_bytes() == b"finished"


def test_samples_are_pictures_with_captions(emoji_font_installed: None) -> None:
    pictures, captions = draw_samples(random.Random(0), 3, width_px=160, height_px=96)
    assert (pictures.shape, pictures.dtype) == ((3, 96, 160, 3), np.uint8)
    assert len(captions) == 3
    assert all(captions)
    assert pictures.std() > 10
