"""The benchmark of the full size, at a tiny size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tiny_checkpoints import random_model, stored_tensors, write_sharded

from benchmarks.random_checkpoint import config_values, write_random
from danqing.hunyuan_image3.checksums import verify
from danqing.hunyuan_image3.config import parse_model_config
from danqing.hunyuan_image3.conversion import Conversion
from danqing.hunyuan_image3.placement.sizes import model_size
from danqing.hunyuan_image3.precision import Precision

ROOT = Path(__file__).parents[2]


def measure(out: Path, *arguments: str) -> dict[str, object]:
    """Run the benchmark where nothing but the model's own packages can be imported."""
    blocked = ["pydantic", "pydantic_settings", "fastapi", "sqlalchemy", "httpx", "anyio", "tokenizers", "PIL", "typer"]
    argv = ["full_size.py", "--tiny", "--device", "cpu", "--steps", "1", "--out", str(out), *arguments]
    code = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({blocked!r}))
sys.argv = {argv!r}
runpy.run_path({str(ROOT / "benchmarks" / "full_size.py")!r}, run_name="__main__")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        env={"PYTHONPATH": "src:.", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, object] = json.loads((out / "full_size.json").read_text())
    assert figures["failed"] == []
    return figures


def room_without_experts() -> str:
    """Gigabytes in which the tiny checkpoint decodes with all but the routed experts of its layers beside it."""
    config = parse_model_config(config_values("distil", Precision.INT4, tiny=True, num_layers=None))
    activations = Precision.INT4.activations(torch.device("cpu"))
    size = model_size(config, Precision.INT4, activations=activations, on_cpu=True)
    beside = sum(layer.matrix_bytes + layer.other_bytes for layer in size.layers)
    # A little more, which is less than a layer's experts, for the rounding of decimals.
    return str((size.end_bytes + size.decoder_bytes + size.decoding_bytes + beside + 1000) / 1e9)


def headers(folder: Path) -> dict[str, tuple[str, str, tuple[int, ...]]]:
    """The file, type and shape of every key."""
    found = {}
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            for key in list(file.keys()):
                header = file.get_slice(key)
                found[key] = (path.name, header.get_dtype(), tuple(header.get_shape()))
    return found


@pytest.mark.parametrize("precision", [Precision.INT4, Precision.INT8, Precision.FP8])
def test_a_random_checkpoint_is_what_a_conversion_would_write(tmp_path: Path, precision: Precision) -> None:
    made, source, converted = tmp_path / "made", tmp_path / "source", tmp_path / "converted"
    write_random(made, config_values("distil", precision, tiny=True, num_layers=2), precision, lambda _: None)
    values = config_values("distil", Precision.BFLOAT16, tiny=True, num_layers=2)
    tensors = stored_tensors(random_model(values))
    write_sharded(
        source,
        {
            "one.safetensors": {
                key: value if key.endswith("gate.wg.weight") else value.detach().bfloat16()
                for key, value in tensors.items()
            }
        },
    )
    (source / "config.json").write_text(json.dumps(values))
    Conversion(source, converted, precision).run()
    assert headers(made) == headers(converted)
    assert json.loads((made / "config.json").read_text()) == json.loads((converted / "config.json").read_text())
    assert {path.name for path in made.iterdir()} == {path.name for path in converted.iterdir()}
    assert verify(made) == len(list(made.iterdir())) - 1


def test_a_checkpoint_on_disk_is_made_and_measured_as_planned(tmp_path: Path) -> None:
    figures = measure(tmp_path, "--folder", str(tmp_path / "made"), "--device-memory", room_without_experts())
    assert figures["plan"]["layers"] == {"device": 0, "host": 0, "disk": 3}  # type: ignore[index]
    assert figures["plan"]["decoder"] == "disk"  # type: ignore[index]
    assert float(figures["transfer_floor_seconds"]) > 0  # type: ignore[arg-type]
    assert float(figures["step_seconds"]) > 0  # type: ignore[arg-type]
    assert float(figures["step_host_peak_gb"]) > 0  # type: ignore[arg-type]


def test_weights_in_memory_are_measured_without_a_folder(tmp_path: Path) -> None:
    figures = measure(tmp_path, "--precision", "fp8", "--checkpoint", "base", "--layers", "1")
    assert figures["num_layers"] == 1
    assert float(figures["step_over_larger_floor"]) > 0  # type: ignore[arg-type]


def test_the_script_for_gpus_measures_every_case_and_leaves_no_weights(tmp_path: Path) -> None:
    done = run_gpu_script(tmp_path, budget_seconds="200")
    assert done.returncode == 0, done.stdout + done.stderr
    for case, precision in (("int4", "int4"), ("int4-24gb", "int4"), ("int4-12gb", "int4"), ("fp8", "fp8")):
        figures = json.loads((tmp_path / case / "full_size.json").read_text())
        assert (figures["failed"], figures["precision"]) == ([], precision)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_the_script_for_gpus_begins_nothing_after_its_time_and_fails(tmp_path: Path) -> None:
    done = run_gpu_script(tmp_path, budget_seconds="0")
    assert done.returncode == 1
    assert "failed: 4" in done.stdout
    assert not list(tmp_path.iterdir())


def run_gpu_script(out: Path, *, budget_seconds: str) -> subprocess.CompletedProcess[str]:
    """The script as it is, at a tiny size on the CPU."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHON": sys.executable,
        "OMP_NUM_THREADS": "1",
        "OPTIONS": "--tiny --device cpu --layers 1 --steps 1",
        "BUDGET_SECONDS": budget_seconds,
    }
    return subprocess.run(
        ["sh", "benchmarks/full_size_gpu.sh", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=220,
        env=environment,
    )
