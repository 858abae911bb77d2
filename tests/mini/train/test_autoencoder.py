"""The autoencoder's loop: it learns to draw from the code, and goes on exactly where it stopped."""

import json
from pathlib import Path

import pytest
import torch

from mini.train import autoencoder
from mini.train.autoencoder import AutoencoderTraining, edges, picture_loss, rate_share
from mini.train.latents import LinearCode
from mini.train.recipe import Budget, Recipe
from mini.world.scene import Grid


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch, emoji_font_installed: None) -> None:
    """Two small pictures a step: the real ones take seconds."""
    monkeypatch.setattr(autoencoder, "BATCH_SIZE", 2)
    monkeypatch.setattr(autoencoder, "NUM_START_PICTURES", 4)
    monkeypatch.setattr(autoencoder, "STEPS_PER_LOG", 1)
    monkeypatch.setattr(autoencoder, "PRESET_SHARES", {Grid(3, 2): 0.5, Grid(2, 3): 0.5})


def training_in(folder: Path, recipe: Recipe, code: LinearCode) -> AutoencoderTraining:
    folder.mkdir(parents=True, exist_ok=True)
    code.save(folder / "code.safetensors")
    return AutoencoderTraining(recipe, folder, dtype=torch.float32, device=torch.device("cpu"))


def test_a_run_taken_up_again_ends_with_the_same_weights(
    tmp_path: Path, recipe: Recipe, code: LinearCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = training_in(tmp_path / "whole", recipe, code)
    whole.run(Budget(num_samples=8), num_processes=0)

    first = training_in(tmp_path / "parts", recipe, code)
    num_drawn, draw = 0, autoencoder.sample_examples

    def killed_in_the_third_step(*args, **kwargs):  # type: ignore[no-untyped-def]
        nonlocal num_drawn
        num_drawn += 1
        if num_drawn == 3:
            raise KeyboardInterrupt
        return draw(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(autoencoder, "sample_examples", killed_in_the_third_step)
        with pytest.raises(KeyboardInterrupt):
            first.run(Budget(num_samples=8), num_processes=0)
    first.save()
    second = training_in(tmp_path / "parts", recipe, code)
    assert second.num_seen == 4
    second.run(Budget(num_samples=8), num_processes=0)
    for name, value in whole.vae.state_dict().items():
        assert torch.equal(second.vae.state_dict()[name], value), name
        assert torch.equal(second.average[name], whole.average[name]), name


def test_the_log_tells_what_the_eye_would_judge(tmp_path: Path, recipe: Recipe, code: LinearCode) -> None:
    training_in(tmp_path, recipe, code).run(Budget(num_samples=4), num_processes=0)
    rows = [json.loads(line) for line in (tmp_path / "autoencoder.jsonl").read_text().splitlines()]
    assert [row["seen"] for row in rows] == [2, 4]
    assert all(row["psnr_db"] > 0 and row["loss"] > 0 for row in rows)


def test_the_checkpoint_gets_the_average(tmp_path: Path, recipe: Recipe, code: LinearCode) -> None:
    training = training_in(tmp_path, recipe, code)
    training.run(Budget(num_samples=4), num_processes=0)
    stored = torch.load(tmp_path / "autoencoder.pt")["vae"]
    assert stored.keys() == training.vae.state_dict().keys()
    assert torch.equal(stored["decoder.conv_in.weight"], training.average["decoder.conv_in.weight"])
    assert not torch.equal(stored["decoder.conv_in.weight"], training.vae.state_dict()["decoder.conv_in.weight"])


def test_the_rate_warms_up_and_ends_at_zero() -> None:
    rates = [rate_share(seen / 1000, num_seen=seen) for seen in range(0, 1001, 100)]
    assert rates[0] < rates[1]
    assert rates[-1] == 0
    assert max(rates) <= 1


def test_the_loss_is_nothing_for_the_picture_itself_and_counts_blurred_edges() -> None:
    sharp = torch.zeros(1, 3, 4, 4)
    sharp[..., 2:] = 1
    assert picture_loss(sharp, sharp).item() == 0
    blurred = sharp.clone()
    blurred[..., 1:3] = 0.5
    shifted = sharp + 0.25
    # Both are as far away in colour; only one has lost the edge.
    assert (blurred - sharp).abs().mean() == (shifted - sharp).abs().mean()
    assert picture_loss(blurred, sharp) > picture_loss(shifted, sharp)


def test_edges_are_differences_of_neighbours() -> None:
    down, across = edges(torch.tensor([[1.0, 2.0], [4.0, 8.0]])[None, None])
    assert down.flatten().tolist() == [3, 6]
    assert across.flatten().tolist() == [1, 4]
