"""`model info` describes a checkpoint from its headers, and says what is wrong with one that cannot be loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from danqing.hunyuan_image3.published import PUBLISHED

Run = Callable[..., Result]

CHECKPOINTS = Path(__file__).parents[2] / "data" / "parity"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CHECKPOINTS / "pretrain", tmp_path / "checkpoint"))


@pytest.mark.parametrize(
    ("name", "patch", "widest", "writing"),
    [
        ("pretrain", 1, "256x64", "not learned"),
        ("instruct", 2, "512x128", "native by think_recaption, the likeliest words"),
    ],
)
def test_it_describes_a_checkpoint(run: Run, name: str, patch: int, widest: str, writing: str) -> None:
    result = run("model", "info", str(CHECKPOINTS / name))
    assert result.exit_code == 0
    values = json.loads((CHECKPOINTS / name / "config.json").read_text())
    for part in (
        f"{values['num_hidden_layers']} layers, hidden {values['hidden_size']}",
        f"patch {patch}",
        "bfloat16",
        "float32",
        f"{(CHECKPOINTS / name / 'model.safetensors').stat().st_size / 2**20:.1f} MiB in 1 file",
        name,
        "17 buckets",
        widest,
        writing,
    ):
        assert part in result.stdout


def test_it_says_how_a_checkpoint_expands_prompts(run: Run, checkpoint: Path) -> None:
    path = checkpoint / "generation_config.json"
    asked = {"recaption": True, "do_sample": True, "temperature": 0.6, "top_k": 1024, "top_p": 0.95}
    path.write_text(json.dumps(json.loads(path.read_text()) | asked))
    shown = run("model", "info", str(checkpoint)).stdout
    assert "native by recaption, sampled: temperature 0.6, top k 1024, top p 0.95" in shown
    described = json.loads(run("model", "info", str(checkpoint), "--json").stdout)
    assert described["generation"]["expands"] is True


def test_a_missing_folder_is_named(run: Run, tmp_path: Path) -> None:
    result = run("model", "info", str(tmp_path / "nowhere"))
    assert result.exit_code == 2
    assert "nowhere: no such folder" in result.stderr


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(run: Run, checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    result = run("model", "info", str(checkpoint))
    assert result.exit_code == 2
    assert name in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json", "model.safetensors"])
def test_a_broken_file_is_named(run: Run, checkpoint: Path, name: str) -> None:
    (checkpoint / name).write_bytes(b"\x00\xffnonsense")
    result = run("model", "info", str(checkpoint))
    assert result.exit_code == 2
    assert name in result.stderr
    assert "Traceback" not in result.output


def test_a_cut_off_download_is_noticed(run: Run, checkpoint: Path) -> None:
    weights = checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    result = run("model", "info", str(checkpoint))
    assert result.exit_code == 2
    assert "model.safetensors" in result.stderr


@pytest.mark.parametrize(("key", "value"), [("hidden_size", 256), ("num_hidden_layers", 4), ("num_experts", 4)])
def test_weights_that_do_not_fit_the_configuration_are_named(run: Run, checkpoint: Path, key: str, value: int) -> None:
    path = checkpoint / "config.json"
    values = json.loads(path.read_text())
    for name in ("moe_intermediate_size", "num_shared_expert", "moe_topk"):
        values[name] = values[name][0]
    path.write_text(json.dumps(values | {key: value}))
    result = run("model", "info", str(checkpoint))
    assert result.exit_code == 2
    assert "key '" in result.stderr


def test_it_tells_the_checkpoints_own_defaults_from_those_of_requests(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defaults(name: str) -> list[str]:
        shown = run("model", "info", str(CHECKPOINTS / name)).stdout.splitlines()
        return [line.partition("defaults")[2].strip() for line in shown if "defaults" in line]

    assert defaults("pretrain") == ["50 steps, guidance 7.5", "28 steps, guidance 7.5"]
    assert defaults("instruct") == ["50 steps, guidance 3.5", "50 steps, guidance 3.5"]
    monkeypatch.setenv("DANQING_DEFAULT_STEPS", "12")
    assert defaults("instruct") == ["50 steps, guidance 3.5", "12 steps, guidance 3.5"]
    described = json.loads(run("model", "info", str(CHECKPOINTS / "instruct"), "--json").stdout)
    assert described["request_defaults"] == {"num_inference_steps": 12, "guidance_scale": 3.5, "step_reuse": "none"}


def test_a_distilled_checkpoint_is_said_to_have_one_branch(run: Run) -> None:
    shown = run("model", "info", str(CHECKPOINTS / "distil")).stdout
    assert "8 steps, guidance 2.5" in shown
    assert "distilled: one branch, no negative prompt" in shown
    assert json.loads(run("model", "info", str(CHECKPOINTS / "distil"), "--json").stdout)["facts"]["distilled"] is True


@pytest.fixture
def converted(run: Run, checkpoint: Path, tmp_path: Path) -> Path:
    target = tmp_path / "converted"
    result = run("model", "convert", str(checkpoint), str(target), "--precision", "int4")
    assert result.exit_code == 0, result.output
    assert "int4" in result.stdout
    assert f"DANQING_MODEL={target}" in result.stdout
    return target


def test_it_describes_a_converted_checkpoint_and_verifies_its_files(run: Run, converted: Path) -> None:
    result = run("model", "info", str(converted), "--verify")
    assert result.exit_code == 0
    assert "are as they were written" in result.stderr
    assert "int4 (" in result.stdout
    assert json.loads(run("model", "info", str(converted), "--json").stdout)["converted_to"] == "int4"


def test_a_changed_byte_of_a_converted_checkpoint_is_named_with_its_file(run: Run, converted: Path) -> None:
    (weights,) = converted.glob("*.safetensors")
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert run("model", "info", str(converted)).exit_code == 0
    result = run("model", "info", str(converted), "--verify")
    assert result.exit_code == 2
    assert f"{weights.name}: has changed" in result.stderr


def test_a_checkpoint_that_was_not_converted_has_nothing_to_verify(run: Run, checkpoint: Path) -> None:
    result = run("model", "info", str(checkpoint), "--verify")
    assert result.exit_code == 2
    assert "only folders made by `danqing model convert`" in result.stderr


def test_a_conversion_names_what_keeps_it_from_starting(run: Run, checkpoint: Path, converted: Path) -> None:
    for source, target, code, words in (
        (converted, "again", 2, "is a converted checkpoint"),
        (checkpoint, "converted", 1, "not empty"),
        (checkpoint / "nowhere", "new", 2, "no such folder"),
    ):
        result = run("model", "convert", str(source), str(converted.parent / target), "--precision", "int8")
        assert result.exit_code == code
        assert words in result.stderr
        assert "Traceback" not in result.output
    assert run("model", "convert", str(checkpoint), "new", "--precision", "int2").exit_code == 2


def test_a_plan_for_a_machine_one_does_not_have_needs_the_configuration_alone(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(PUBLISHED))
    machine = ("--device", "cuda", "--device-memory", "24GB", "--host-memory", "64GB")
    plans = json.loads(run("model", "info", str(folder), "--plan", *machine, "--json").stdout)["plans"]
    found = {each["precision"]: each for each in plans}
    assert found["float32"]["plan"] is None
    assert "may use 24.0 GB of it" in found["float32"]["why_not"]
    layers = [layer["experts"] for layer in found["int4"]["plan"]["layers"]]
    assert len(layers) == 32
    assert set(layers) <= {"device", "host"}
    assert 0 < layers.count("host") < 32
    device = found["int4"]["plan"]["devices"][0]
    assert 0 < device["decoding_bytes"] < device["denoising_bytes"] < device["memory_bytes"]
    shown = run("model", "info", str(folder), "--plan", *machine).stdout
    assert "decoder in host memory" in " ".join(shown.split("plan, int4")[1].split())
    assert "other matrices" not in shown.split("plan, int4")[1]


def test_a_plan_tells_of_a_layers_other_matrices_where_they_leave_the_device_too(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED))
    machine = ("--device", "cuda", "--device-memory", "13GB", "--host-memory", "64GB")
    shown = run("model", "info", str(tmp_path), "--plan", *machine).stdout
    assert "other matrices of 32 in host memory" in " ".join(shown.split("plan, int4")[1].split())


def test_nine_tenths_of_a_card_of_12_gb_hold_distil_in_int4(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**PUBLISHED, "cfg_distilled": True, "use_meanflow": True}))
    machine = ("--device", "cuda", "--device-memory", "10.8GB", "--host-memory", "57.6GB")
    plans = json.loads(run("model", "info", str(tmp_path), "--plan", *machine, "--json").stdout)["plans"]
    planned = next(each["plan"] for each in plans if each["precision"] == "int4")
    assert planned["disk_bytes_moved"] == 0
    assert planned["decoder"] == "host"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--plan", "--device", "cuda:9"), "DANQING_DEVICE is cuda:9"),
        (("--plan", "--device-memory", "12 apples"), "must be a size such as 12GB"),
        (("--device-memory", "12GB"), "belong to --plan"),
    ],
)
def test_a_plan_for_nothing_is_refused(run: Run, checkpoint: Path, options: tuple[str, ...], said: str) -> None:
    result = run("model", "info", str(checkpoint), *options)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", "").split())
