"""What requests get from a checkpoint, read before the engine loads it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from danqing.engines import checkpoint_profile, request_profile, worker_options
from danqing.pictures.checkpoint_profile import CheckpointProfile
from danqing.settings import Settings

PARITY = Path(__file__).parents[1] / "data" / "parity"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("pretrain", CheckpointProfile(expands=False)),
        ("instruct", CheckpointProfile(num_inference_steps=50, guidance_scale=3.5)),
        (
            "distil",
            CheckpointProfile(
                num_inference_steps=8,
                guidance_scale=2.5,
                takes_negative_prompt=False,
                reuse_hindrance="this checkpoint is distilled and draws in few steps",
            ),
        ),
    ],
)
def test_the_documented_defaults_give_way_where_they_are_wrong(case: str, expected: CheckpointProfile) -> None:
    assert checkpoint_profile(Settings(model=PARITY / case)) == expected


@pytest.mark.parametrize("case", ["pretrain", "distil"])
def test_a_setting_overrides_every_checkpoint(case: str) -> None:
    profile = checkpoint_profile(Settings(model=PARITY / case, default_steps=12, default_guidance=3.0))
    assert profile.defaults == {"num_inference_steps": 12, "guidance_scale": 3.0, "step_reuse": "none"}


def test_the_settings_step_reuse_is_the_default_where_steps_can_be_reused() -> None:
    defaults = {
        case: checkpoint_profile(Settings(model=PARITY / case, default_step_reuse="half")).step_reuse
        for case in ("instruct", "distil")
    }
    assert defaults == {"instruct": "half", "distil": "none"}
    upstream = Settings.model_validate({"engine": "upstream", "upstream_url": "http://x", "default_step_reuse": "half"})
    assert request_profile(upstream).step_reuse == "none"
    assert "step_reuse" in request_profile(upstream).without_effect


def test_defaults_that_no_request_could_name_are_brought_into_range(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(PARITY / "distil", tmp_path / "odd"))
    path = folder / "generation_config.json"
    odd = {"diff_infer_steps": 100, "diff_guidance_scale": 0.5}
    path.write_text(json.dumps(json.loads(path.read_text()) | odd))
    defaults = checkpoint_profile(Settings(model=folder)).defaults
    assert (defaults["num_inference_steps"], defaults["guidance_scale"]) == (50, 1.0)


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json"])
def test_a_checkpoint_that_cannot_be_read_leaves_the_complaint_to_the_engine(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(PARITY / "distil", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / name).write_bytes(b"\xff nonsense")
    assert checkpoint_profile(Settings(model=folder)) == CheckpointProfile()
    assert checkpoint_profile(Settings(model=tmp_path / "nowhere")) == CheckpointProfile()


def test_an_engine_on_this_machine_starts_without_libraries_that_only_others_need() -> None:
    program = (
        "import sys; from danqing.engines import engine_of; from danqing.settings import Settings\n"
        "engine_of(Settings())\n"
        "heavy = {'torch', 'httpx', 'sqlalchemy', 'fastapi', 'numpy', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_kernels_are_kept_in_the_data_folder(tmp_path: Path) -> None:
    assert worker_options(Settings(data_dir=tmp_path, device="cuda")).kernel_folder is None
    assert (
        worker_options(Settings(data_dir=tmp_path, device="cuda", compile=True)).kernel_folder == tmp_path / "kernels"
    )
