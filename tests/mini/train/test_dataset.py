"""Shards become batches of one grid, padded on the left; a batch depends on its generator alone."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from danqing.hunyuan_image3.prompt_template import Prompt, PromptTemplate
from danqing.hunyuan_image3.tokenizer import Tokenizer
from mini.train.dataset import IGNORED, LENGTH_STEP, Batch, Dataset
from mini.train.recipe import BUCKETS
from mini.world.scene import Grid


@pytest.fixture
def dataset(shards: Path) -> Dataset:
    dataset = Dataset(shards, device=torch.device("cpu"))
    assert dataset.refresh() == 52
    return dataset


@pytest.fixture
def tokenizer(tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.from_file(tokenizer_file)


def batch_of(dataset: Dataset, seed: int, *, batch_size: int = 4) -> Batch:
    return dataset.batch(torch.Generator().manual_seed(seed), batch_size=batch_size)


def stored(shards: Path, key: str) -> dict[tuple[Grid, int], Tensor]:
    """What the shards hold, by grid and sample."""
    found = {}
    for path in shards.glob("*.pt"):
        shard = torch.load(path)
        rows, columns = shard["latent"].shape[2:]
        found |= {(Grid(columns, rows), i): value for i, value in enumerate(shard[key])}
    return found


def test_every_batch_has_one_grid_and_texts_that_end_together(dataset: Dataset, tokenizer: Tokenizer) -> None:
    batches = [batch_of(dataset, seed) for seed in range(20)]
    assert {batch.latent_BChw.shape[1:] for batch in batches} == {(16, 6, 10), (16, 8, 8)}
    assert any(batch.num_pads_B.any() for batch in batches)
    for batch in batches:
        assert len(batch.token_ids_BL) == len(batch.latent_BChw) == len(batch.labels_Bhw2) == 4
        assert batch.num_pads_B.min() < LENGTH_STEP
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


def test_every_sample_has_its_turn_and_grids_come_as_often_as_they_have_samples(dataset: Dataset) -> None:
    batches = [batch_of(dataset, seed) for seed in range(300)]
    seen = {latent.float().sum().item() for batch in batches for latent in batch.latent_BChw}
    assert len(seen) == 52
    wide = sum(batch.latent_BChw.shape[3] == 10 for batch in batches)
    assert wide / 300 == pytest.approx(30 / 52, abs=0.1)


def test_a_batch_follows_its_generator(dataset: Dataset) -> None:
    first, again, other = (batch_of(dataset, seed) for seed in (1, 1, 2))
    assert torch.equal(first.latent_BChw, again.latent_BChw)
    assert torch.equal(first.token_ids_BL, again.token_ids_BL)
    assert first.latent_BChw.shape != other.latent_BChw.shape or not torch.equal(first.latent_BChw, other.latent_BChw)


def test_texts_and_labels_stay_with_their_latents(dataset: Dataset, shards: Path) -> None:
    known = {value.float().sum().item(): key for key, value in stored(shards, "latent").items()}
    prompts, labels = stored(shards, "prompt_ids"), stored(shards, "labels")
    told = set()
    for seed in range(60):
        batch = batch_of(dataset, seed)
        for b, latent in enumerate(batch.latent_BChw):
            key = known[latent.float().sum().item()]
            width = batch.token_ids_BL.shape[1]
            texts = [k for k, ids in enumerate(prompts[key]) if torch.equal(ids[-width:].long(), batch.token_ids_BL[b])]
            assert texts
            assert torch.equal(batch.labels_Bhw2[b], labels[key].long())
            told.add((key, texts[0]))
    # Another time, another of its texts.
    assert len(told) > 1.5 * len(known)


def test_texts_of_like_length_share_a_batch(dataset: Dataset) -> None:
    batches = [batch_of(dataset, seed) for seed in range(60)]
    spreads = [int(batch.num_pads_B.max() - batch.num_pads_B.min()) for batch in batches]
    lengths = stored_lengths(dataset)
    assert sum(spreads) / len(spreads) < 0.5 * (max(lengths) - min(lengths))


def stored_lengths(dataset: Dataset) -> list[int]:
    """Of the texts of many batches."""
    return [
        batch.token_ids_BL.shape[1] - pads
        for batch in (batch_of(dataset, seed) for seed in range(60))
        for pads in batch.num_pads_B.tolist()
    ]


def test_the_shares_of_a_team_make_up_the_batch(dataset: Dataset) -> None:
    batch = batch_of(dataset, 0)
    shares = [batch.share(rank, 2) for rank in range(2)]
    for name, whole in vars(batch).items():
        first, second = (getattr(share, name) for share in shares)
        assert torch.equal(torch.stack([first, second], dim=1).flatten(0, 1), whole), name


def test_a_text_batch_teaches_the_detailed_caption_and_nothing_else(
    dataset: Dataset, template: PromptTemplate, tokenizer: Tokenizer
) -> None:
    batch = dataset.text_batch(torch.Generator().manual_seed(0), batch_size=6)
    assert batch.token_ids_BL.shape == batch.targets_BL.shape
    for ids, targets in zip(batch.token_ids_BL.tolist(), batch.targets_BL.tolist(), strict=True):
        learned = [i for i, target in enumerate(targets) if target != IGNORED]
        first, last = learned[0], learned[-1]
        assert learned == list(range(first, last + 1))
        assert targets[first : last + 1] == ids[first + 1 : last + 2]
        assert targets[last] == template.closing("recaption")
        assert tokenizer.decode(targets[first:last]).startswith("A picture of")
        short = tokenizer.decode(ids[1:first])
        assert ids[: first + 1] == template.text_prefix(Prompt(text=short), tag="recaption")
        assert not any(ids[last + 2 :])


def test_new_shards_join_and_known_ones_are_not_read_again(dataset: Dataset, shards: Path) -> None:
    assert dataset.refresh() == 52
    (shards / "shard-00002.pt").write_bytes((shards / "shard-00001.pt").read_bytes())
    assert dataset.refresh() == 52 + 22
