"""The autoencoder's loop: it learns to draw from the code, and goes on exactly where it stopped."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from danqing.hunyuan_image3.vae import Vae
from mini.train import checkpoint as checkpoint_module
from mini.train.autoencoder import examples as examples_module
from mini.train.autoencoder import training as training_module
from mini.train.autoencoder.rounding import rounded
from mini.train.autoencoder.training import AutoencoderTraining, picture_loss, rate_share
from mini.train.autoencoder.whitening import plain
from mini.train.checkpoint import export, model_config, train_tokenizer
from mini.train.latents import LinearCode
from mini.train.recipe import BASE_SIZE_PX, NUM_RATIOS, PIXELS_PER_TOKEN, Budget, Recipe
from mini.train.transformer import new_network
from mini.world.scene import Grid


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch, emoji_font_installed: None) -> None:
    """Two small pictures a step: the real ones take seconds."""
    monkeypatch.setattr(training_module, "BATCH_SIZE", 2)
    monkeypatch.setattr(examples_module, "BATCH_SIZE", 2)
    monkeypatch.setattr(training_module, "NUM_START_PICTURES", 4)
    monkeypatch.setattr(training_module, "NUM_ROUNDING_BATCHES", 1)
    monkeypatch.setattr(training_module, "STEPS_PER_LOG", 1)
    shares = {Grid(3, 2): 0.5, Grid(2, 3): 0.5}
    monkeypatch.setattr(training_module, "PRESET_SHARES", shares)
    monkeypatch.setattr(examples_module, "PRESET_SHARES", shares)


def training_in(
    folder: Path, recipe: Recipe, code: LinearCode, *, checkpoint: Path | None = None
) -> AutoencoderTraining:
    folder.mkdir(parents=True, exist_ok=True)
    code.save(folder / "code.safetensors")
    return AutoencoderTraining(recipe, folder, dtype=torch.float32, device=torch.device("cpu"), checkpoint=checkpoint)


def test_a_run_taken_up_again_ends_with_the_same_weights(
    tmp_path: Path, recipe: Recipe, code: LinearCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = training_in(tmp_path / "whole", recipe, code)
    whole.run(Budget(num_samples=8), num_processes=0)

    first = training_in(tmp_path / "parts", recipe, code)
    num_drawn, draw = 0, examples_module.draw_examples

    def killed_in_the_third_step(*args, **kwargs):  # type: ignore[no-untyped-def]
        nonlocal num_drawn
        num_drawn += 1
        if num_drawn == 3:
            raise KeyboardInterrupt
        return draw(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(examples_module, "draw_examples", killed_in_the_third_step)
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
    own, average = training.vae.state_dict()["encoder.conv_in.weight"], training.average["encoder.conv_in.weight"]
    assert torch.equal(stored["encoder.conv_in.weight"], average)
    assert not torch.equal(own, average)


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


@pytest.fixture
def smaller(tmp_path: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished checkpoint of one level less, which has learned nothing."""
    small = replace(recipe, vae_block_channels=(32, 32, 32))
    folder = tmp_path / "finished"
    (folder / "mini").mkdir(parents=True)
    vocabulary = train_tokenizer(
        ["a dog"], vocabulary_size=recipe.vocabulary_size, base_size_px=BASE_SIZE_PX // 2, num_ratios=NUM_RATIOS
    )
    vocabulary.save(str(folder / "mini" / "tokenizer.json"))
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint_module, "PIXELS_PER_TOKEN", PIXELS_PER_TOKEN // 2)
        patched.setattr(checkpoint_module, "BASE_SIZE_PX", BASE_SIZE_PX // 2)
        network = new_network(small, dtype=torch.float32, device=torch.device("cpu"))
        torch.save({"vae": network.vae.state_dict()}, folder / "autoencoder.pt")
        return export(small, folder, network=network.state_dict()).parent


def test_growing_trains_the_last_level_resumes_and_gives_rounded_weights(
    tmp_path: Path, recipe: Recipe, code: LinearCode, smaller: Path
) -> None:
    whole = training_in(tmp_path / "whole", recipe, code, checkpoint=smaller)
    whole.run(Budget(num_samples=4), num_processes=0)
    first = training_in(tmp_path / "parts", recipe, code, checkpoint=smaller)
    first.run(Budget(num_samples=2), num_processes=0)
    first = training_in(tmp_path / "parts", recipe, code, checkpoint=smaller)
    first.run(Budget(num_samples=4), num_processes=0)

    weights = torch.load(tmp_path / "whole" / "autoencoder.pt")["vae"]
    assert weights.keys() == Vae(model_config(recipe).vae).state_dict().keys()
    assert all(torch.equal(rounded(value), value) for name, value in weights.items() if name.startswith("decoder."))
    average = torch.load(tmp_path / "whole" / "autoencoder.pt")["average"]
    finished = load_file(smaller / "model.safetensors")
    kept = "decoder.up.1.upsample.conv.weight"
    assert torch.equal(average[kept], finished[f"vae.{kept}"].float())
    for name, value in torch.load(tmp_path / "parts" / "autoencoder.pt")["vae"].items():
        assert torch.equal(value, weights[name]), name
    vae = Vae(model_config(recipe).vae)
    vae.load_state_dict(plain(whole.vae.state_dict()))
    noise = torch.randn(1, 16, 2, 3)
    with torch.inference_mode():
        assert torch.allclose(vae.decode_unscaled(noise), whole.vae.decode_unscaled(noise), atol=1e-4)


def test_a_checkpoint_of_as_many_levels_is_continued(
    tmp_path: Path, recipe: Recipe, code: LinearCode, smaller: Path, tokenizer_file: Path
) -> None:
    finished = tmp_path / "as large"
    training_in(finished, recipe, code, checkpoint=smaller).run(Budget(num_samples=2), num_processes=0)
    (finished / "mini").mkdir()
    shutil.copy(tokenizer_file, finished / "mini")
    network = new_network(recipe, dtype=torch.float32, device=torch.device("cpu")).state_dict()
    checkpoint = export(recipe, finished, network=network).parent
    continued = training_in(tmp_path / "continued", recipe, code, checkpoint=checkpoint)
    own, stored = plain(continued.vae.state_dict()), load_file(checkpoint / "model.safetensors")
    assert all(torch.allclose(own[name], stored[f"vae.{name}"].float(), atol=1e-4) for name in own)
    continued.run(Budget(num_samples=2), num_processes=0)
    trained = [name for name, parameter in continued.vae.named_parameters() if parameter.requires_grad]
    assert any(name.startswith("decoder.conv_out.") for name in trained)
    assert not any(name.startswith(("decoder.mid.", "decoder.conv_in.")) for name in trained)
