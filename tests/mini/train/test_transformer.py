"""The loop learns, saves, goes on where it stopped, and exports what the runtime loads."""

import dataclasses
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from danqing.hunyuan_image3.model import HunyuanImage3
from danqing.hunyuan_image3.vae import Vae
from mini.train.checkpoint import export, model_config
from mini.train.dataset import Batch, Dataset
from mini.train.layout_probe import NUM_NAMES, NUM_PARTS
from mini.train.optimiser import Team
from mini.train.recipe import NUM_RATIOS, Budget, Recipe
from mini.train.transformer import (
    PROBE,
    LayoutProbe,
    Losses,
    TransformerTraining,
    expansion_loss,
    loss_of,
    new_network,
    next_word_loss,
    noise_levels,
    rate_share,
)

CPU = torch.device("cpu")


class Killed(Exception):
    pass


class MortalDataset(Dataset):
    """Raises after so many batches."""

    def __init__(self, folder: Path, *, limit: int) -> None:
        super().__init__(folder, device=CPU)
        self._left = limit

    def batch(self, generator: torch.Generator, *, batch_size: int) -> Batch:
        if self._left == 0:
            raise Killed
        self._left -= 1
        return super().batch(generator, batch_size=batch_size)


def dataset_of(shards: Path) -> Dataset:
    dataset = Dataset(shards, device=CPU)
    dataset.refresh()
    return dataset


def training_in(folder: Path, recipe: Recipe, *, team: Team | None = None) -> TransformerTraining:
    folder.mkdir(parents=True, exist_ok=True)
    return TransformerTraining(recipe, folder, dtype=torch.float32, device=CPU, team=team)


def weights_of(training: TransformerTraining) -> dict[str, Tensor]:
    averages = {f"ema {name}": value for name, value in training.optimiser.averaged().items()}
    return {**training.model.state_dict(), **training.probe.state_dict(prefix=f"{PROBE}."), **averages}


def first_batch(shards: Path) -> Batch:
    return dataset_of(shards).batch(torch.Generator().manual_seed(0), batch_size=4)


def losses_of(
    model: HunyuanImage3, batch: Batch, recipe: Recipe, *, probe: LayoutProbe | None = None, **changes: float
) -> Losses:
    """The same noise each time; `changes` are the recipe's."""
    return loss_of(
        model,
        probe or new_probe(recipe),
        batch,
        dataclasses.replace(recipe, **changes),  # type: ignore[arg-type]
        generator=torch.Generator().manual_seed(0),
    )


def new_probe(recipe: Recipe) -> LayoutProbe:
    torch.manual_seed(1)
    return LayoutProbe(recipe.hidden_size)


def test_a_run_taken_up_again_ends_with_the_same_weights(tmp_path: Path, recipe: Recipe, shards: Path) -> None:
    whole = training_in(tmp_path / "whole", recipe)
    whole.run(dataset_of(shards), Budget(num_samples=16))

    first = training_in(tmp_path / "parts", recipe)
    with pytest.raises(Killed):
        first.run(MortalDataset(shards, limit=2), Budget(num_samples=16))
    first.save()
    second = training_in(tmp_path / "parts", recipe)
    assert second.progress.step_index == 2
    second.run(dataset_of(shards), Budget(num_samples=16))

    expected, got = weights_of(whole), weights_of(second)
    assert expected.keys() == got.keys()
    for name, value in expected.items():
        assert torch.equal(got[name], value), name


def test_a_finished_run_does_nothing_more(tmp_path: Path, recipe: Recipe, shards: Path) -> None:
    finished = training_in(tmp_path, recipe)
    finished.run(dataset_of(shards), Budget(num_samples=8))
    again = training_in(tmp_path, recipe)
    before = {name: value.clone() for name, value in weights_of(again).items()}
    again.run(dataset_of(shards), Budget(num_samples=8))
    assert again.progress == finished.progress
    assert again.progress.num_seen >= 8
    assert all(torch.equal(value, before[name]) for name, value in weights_of(again).items())


def test_training_lowers_the_losses(recipe: Recipe, tmp_path: Path, shards: Path) -> None:
    training = training_in(tmp_path, recipe)
    batch = first_batch(shards)

    def losses() -> Losses:
        return losses_of(training.model, batch, recipe, probe=training.probe)

    before = losses()
    for step_index in range(12):
        losses().total.backward()
        training.optimiser.step(rate_share=1.0, step_index=step_index)
    after = losses()
    assert after.velocity < 0.95 * before.velocity
    assert after.probe < before.probe


def test_detailed_captions_are_learned_beside_the_pictures(tmp_path: Path, recipe: Recipe, shards: Path) -> None:
    dataset = dataset_of(shards)
    text_batch = dataset.text_batch(torch.Generator().manual_seed(0), batch_size=4)
    training = training_in(tmp_path, recipe)
    _, before = expansion_loss(training.model, text_batch, recipe)
    training.run(dataset, Budget(num_samples=80))
    _, after = expansion_loss(training.model, text_batch, recipe)
    assert after < 0.9 * before


def test_sizes_are_no_words_to_learn() -> None:
    """A finished checkpoint scores them by thousands; see mini/train/size_choice.py."""
    num_words = 5
    targets = torch.tensor([[2, num_words + 3, 4]])
    logits = torch.zeros(1, 3, num_words + NUM_RATIOS)
    logits[..., num_words:] = 2000
    assert next_word_loss(logits, targets).item() == pytest.approx(math.log(num_words))


def test_the_log_tells_step_samples_and_loss(
    tmp_path: Path, recipe: Recipe, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mini.train.transformer.STEPS_PER_LOG", 2)
    training_in(tmp_path, recipe).run(dataset_of(shards), Budget(num_samples=16))
    rows = [json.loads(line) for line in (tmp_path / "transformer.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(2, 2 * len(rows) + 1, 2))
    assert all(4 <= row["seen"] <= 4 * row["step"] for row in rows)
    assert all(row["loss"] > 0 and row["probe"] > 0 and row["expansion"] > 0 for row in rows)


def test_a_run_can_be_bounded_by_its_seconds(tmp_path: Path, recipe: Recipe, shards: Path) -> None:
    training = training_in(tmp_path, recipe)
    training.run(dataset_of(shards), Budget(seconds=0.5))
    assert training.progress.seconds >= 0.5
    again = training_in(tmp_path, recipe)
    again.run(dataset_of(shards), Budget(seconds=0.5))
    assert again.progress == training.progress


def test_a_team_is_not_bounded_by_seconds(tmp_path: Path, recipe: Recipe, shards: Path) -> None:
    with pytest.raises(ValueError, match="number of samples"):
        training_in(tmp_path, recipe, team=Team(rank=0, size=2)).run(dataset_of(shards), Budget(seconds=1))


def test_snapshots_are_kept_whenever_the_samples_have_doubled(
    tmp_path: Path, recipe: Recipe, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mini.train.transformer.FIRST_SNAPSHOT", 8)
    training = training_in(tmp_path, recipe)
    training.run(dataset_of(shards), Budget(num_samples=40))
    paths = sorted((tmp_path / "snapshots").iterdir())
    assert [path.name for path in paths] == ["000000008.pt", "000000016.pt", "000000032.pt"]
    assert torch.load(paths[0]).keys() == training.network().keys()


def test_only_the_leader_of_a_team_writes(tmp_path: Path, recipe: Recipe) -> None:
    follower = training_in(tmp_path, recipe, team=Team(rank=1, size=2))
    follower.save()
    assert list(tmp_path.iterdir()) == []


def test_a_new_network_predicts_nothing_and_passes_its_input_on(recipe: Recipe, shards: Path) -> None:
    model = new_network(recipe, dtype=torch.float32, device=CPU)
    batch = first_batch(shards)
    # Zero against unit noise minus unit latents.
    assert losses_of(model, batch, recipe).velocity.item() == pytest.approx(2.0, abs=0.3)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == (not name.startswith("vae.")), name
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            assert not parameter.any(), name


def test_every_trained_parameter_gets_a_gradient(recipe: Recipe, shards: Path) -> None:
    model = new_network(recipe, dtype=torch.float32, device=CPU)
    for name, parameter in model.named_parameters():
        # The zeros of the start stop gradients behind them; a step later they are gone.
        if not name.startswith("vae.") and not parameter.any():
            torch.nn.init.normal_(parameter, std=0.05)
    probe = new_probe(recipe)
    losses_of(model, first_batch(shards), recipe, probe=probe).total.backward()
    trained = [*model.named_parameters(), *probe.named_parameters()]
    assert [name for name, p in trained if p.requires_grad and (p.grad is None or not p.grad.any())] == []


def test_some_prompts_are_dropped_whole(recipe: Recipe, shards: Path) -> None:
    batch = first_batch(shards)
    model = new_network(recipe, dtype=torch.float32, device=CPU)
    torch.nn.init.normal_(model.lm_head.weight, std=0.1)
    masked = dataclasses.replace(batch, token_ids_BL=batch.unconditional_ids_BL)

    def loss(share: float, of: Batch) -> float:
        return losses_of(model, of, recipe, unconditional_share=share).total.item()

    assert loss(1.0, batch) == loss(0.0, masked)
    assert loss(0.0, batch) != loss(1.0, batch)


def test_a_probe_that_knows_nothing_is_as_wrong_about_names_as_about_parts(recipe: Recipe) -> None:
    probe = LayoutProbe(recipe.hidden_size)
    torch.nn.init.zeros_(probe.read.weight)
    torch.nn.init.zeros_(probe.read.bias)
    labels = torch.randint(0, NUM_PARTS, (2, 3, 4, 2))
    loss = probe.loss(torch.randn(2, 12, recipe.hidden_size), labels)
    assert loss.item() == pytest.approx(math.log(NUM_NAMES) + math.log(NUM_PARTS), rel=1e-5)


def test_a_probe_is_judged_cell_by_cell(recipe: Recipe) -> None:
    """Hidden values that say name and part outright are right where their own cell is meant, and only there."""
    probe = LayoutProbe(recipe.hidden_size)
    torch.nn.init.zeros_(probe.read.bias)
    probe.read.weight.data.zero_()
    labels = torch.tensor([[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]])
    hidden = torch.eye(4, recipe.hidden_size)[None]
    for cell, (name, part) in enumerate(labels.view(4, 2).tolist()):
        probe.read.weight.data[[name, NUM_NAMES + part], cell] = 50.0
    assert probe.loss(hidden, labels).item() < 1e-3
    assert probe.loss(hidden, labels.transpose(1, 2)).item() > 10


def test_the_parts_of_the_loss_have_their_weights(recipe: Recipe, shards: Path) -> None:
    batch = first_batch(shards)
    model = new_network(recipe, dtype=torch.float32, device=CPU)
    nothing = {"text_weight": 0.0, "balance_weight": 0.0, "probe_weight": 0.0}
    bare = losses_of(model, batch, recipe, **nothing)
    assert bare.total.item() == pytest.approx(bare.velocity.item())
    probed = losses_of(model, batch, recipe, **nothing | {"probe_weight": 0.5})
    assert probed.total.item() == pytest.approx(probed.velocity.item() + 0.5 * probed.probe.item(), rel=1e-5)
    # A new network gives every word the same probability.
    told = losses_of(model, batch, recipe, **nothing | {"text_weight": 1.0})
    expected = told.velocity.item() + math.log(recipe.vocabulary_size - NUM_RATIOS)
    assert told.total.item() == pytest.approx(expected, rel=1e-5)


def test_noise_levels_lie_high_for_a_high_centre() -> None:
    generator = torch.Generator().manual_seed(0)
    sigma = noise_levels(4000, centre=1.3, spread=1.0, generator=generator)
    assert sigma.min() > 0
    assert sigma.max() < 1
    assert sigma.median().item() == pytest.approx(1 / (1 + 2.71828**-1.3), abs=0.02)


def test_the_rate_warms_up_stays_and_decays_to_zero(recipe: Recipe) -> None:
    shares = [rate_share(seen / 400, num_seen=seen, recipe=recipe) for seen in range(0, 401, 4)]
    assert shares[:3] == [0.5, 1.0, 1.0]
    # The last three tenths fall in a line.
    assert shares[70] == pytest.approx(1.0)
    assert shares[85] == pytest.approx(0.5)
    assert shares[-1] == 0.0


def test_the_network_is_the_average_of_the_weights_without_the_probe(
    tmp_path: Path, recipe: Recipe, shards: Path
) -> None:
    training = training_in(tmp_path, recipe)
    training.run(dataset_of(shards), Budget(num_samples=8))
    network, averaged = training.network(), training.optimiser.averaged()
    assert set(averaged) - set(network) == {f"{PROBE}.read.weight", f"{PROBE}.read.bias"}
    assert all(torch.equal(value, averaged[name]) for name, value in network.items())
    assert any(not torch.equal(value, training.model.get_parameter(name)) for name, value in network.items())


def test_a_new_run_can_start_from_a_finished_checkpoint(
    tmp_path: Path, recipe: Recipe, shards: Path, tokenizer_file: Path
) -> None:
    first = training_in(tmp_path / "first", recipe)
    first.run(dataset_of(shards), Budget(num_samples=8))
    torch.save({"vae": Vae(model_config(recipe).vae).state_dict()}, tmp_path / "first" / "autoencoder.pt")
    (tmp_path / "first" / "mini").mkdir()
    shutil.copy(tokenizer_file, tmp_path / "first" / "mini" / "tokenizer.json")
    export(recipe, tmp_path / "first", network=first.network())

    second = training_in(tmp_path / "second", recipe)
    second.start_from(tmp_path / "first" / "mini")
    for name, value in second.network().items():
        torch.testing.assert_close(value, first.network()[name], atol=0.01, rtol=0.01)
    second.run(dataset_of(shards), Budget(num_samples=8))
    went_on = second.network()
    # Taken up again, it goes on as it was.
    third = training_in(tmp_path / "second", recipe)
    third.start_from(tmp_path / "first" / "mini")
    assert all(torch.equal(value, went_on[name]) for name, value in third.network().items())
