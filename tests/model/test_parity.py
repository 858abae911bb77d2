"""This runtime's numbers are the reference's: the recorded tensors, and the script that compares with them."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_checkpoints import PARITY
from torch import Tensor

from benchmarks.parity import GIVEN, LIMIT, compare, main

ROOT = Path(__file__).parents[2]
CASES = ("pretrain", "instruct", "instruct-system", "distil")
OF_EVERY_CASE = {
    "input_ids", "ratio_input_ids", "rope_cos", "rope_sin", "noise", "sigmas", "timesteps", "latents_scaled", "image",
    "ratio_logits", "vae_encode_mean",
}  # fmt: skip
BRANCHES = {"pred_cond", "pred_uncond"}
TEXT = {f"{tag}_{kind}" for tag in ("recaption", "think") for kind in ("input_ids", "logits", "next_ids")}


@pytest.fixture
def pretrain(tmp_path: Path) -> Path:
    """A copy whose `expected.safetensors` a test may spoil, without the slow tensors of the autoencoder."""
    folder = tmp_path / "pretrain"
    shutil.copytree(PARITY / "pretrain", folder)
    rewrite(folder, lambda tensors: [tensors.pop(name) for name in ("image", "vae_encode_mean", "vae_encode_input")])
    return folder


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = load_file(folder / "expected.safetensors")
    change(tensors)
    save_file(tensors, folder / "expected.safetensors")


def run_main(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["parity.py", str(folder)])
    return main()


@pytest.mark.parametrize("case", CASES)
def test_every_recorded_tensor_is_reproduced(case: str) -> None:
    errors = dict(compare(PARITY / case))
    assert errors.keys() == load_file(PARITY / case / "expected.safetensors").keys() - GIVEN
    assert max(errors.values()) <= 1e-4, errors
    assert LIMIT == 1e-4


@pytest.mark.parametrize(
    ("case", "more"),
    [
        ("pretrain", BRANCHES),
        ("instruct", BRANCHES),
        (
            "instruct-system",
            BRANCHES | TEXT | {"ratio_index", "ratio_recaption_index", "asked_ratio_index", "buckets_1024"},
        ),
        (
            "distil",
            TEXT | {"pred", "guidance", "timesteps_r", "guidance_embedding", "timestep_r_embedding", "ratio_index"},
        ),
    ],
)
def test_the_recorded_cases_hold_the_tensors_that_matter(case: str, more: set[str]) -> None:
    assert load_file(PARITY / case / "expected.safetensors").keys() >= OF_EVERY_CASE | more


@pytest.mark.parametrize("name", ["surprise", "_rope", "model", "prefixes"])
def test_a_tensor_that_the_script_does_not_know_is_an_error(
    pretrain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    rewrite(pretrain, lambda tensors: tensors.update({name: torch.ones(3)}))
    assert run_main(pretrain, monkeypatch) == 2
    assert f"'{name}', which this script does not know" in capsys.readouterr().err


def test_the_script_fails_on_a_spoiled_tensor_and_prints_the_worst_last(pretrain: Path) -> None:
    rewrite(pretrain, lambda tensors: tensors["ratio_logits"].mul_(1.01))
    done = subprocess.run(
        [sys.executable, "benchmarks/parity.py", str(pretrain)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stderr
    *lines, last = done.stdout.splitlines()
    word, worst = last.split()
    assert word == "worst"
    assert float(worst) == pytest.approx(0.01 / 1.01, rel=1e-2)
    assert {line.split()[0] for line in lines} == load_file(pretrain / "expected.safetensors").keys() - GIVEN


def test_the_script_succeeds_on_what_was_recorded(
    pretrain: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(pretrain, monkeypatch) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("worst ")


@pytest.mark.parametrize(
    ("name", "value"), [("input_ids", 7), ("sigmas", float("nan")), ("ratio_logits", float("inf")), ("rope_cos", 2.0)]
)
def test_one_wrong_number_in_any_tensor_fails(
    pretrain: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    rewrite(pretrain, lambda tensors: tensors[name].view(-1)[1:2].fill_(value))
    assert run_main(pretrain, monkeypatch) == 1


def test_another_shape_fails(pretrain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite(pretrain, lambda tensors: tensors.update(sigmas=torch.ones(3)))
    assert run_main(pretrain, monkeypatch) == 1


def test_spoiled_weights_fail(pretrain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pretrain / "model.safetensors"
    tensors = load_file(path)
    tensors["model.layers.1.self_attn.o_proj.weight"].mul_(1.05)
    save_file(tensors, path)
    assert run_main(pretrain, monkeypatch) == 1


def test_a_folder_that_is_no_case_is_an_error_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(tmp_path, monkeypatch) == 2
    assert "expected.safetensors" in capsys.readouterr().err
