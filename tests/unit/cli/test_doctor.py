"""`doctor` says what the machine can run and why; here the machines are made up, except for the one we are on."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

from danqing.cli.doctor import Diagnosis, diagnose
from danqing.cli.machine import Device, Processor
from danqing.settings import Settings

Run = Callable[..., Result]

CHECKPOINT = Path(__file__).parents[2] / "data" / "parity" / "pretrain"
PROCESSOR = Processor(name="Made Up", num_cores=8, num_threads=8, features=("avx2",))
CPU = Device(name="cpu", description="Made Up", memory_bytes=64 * 10**9, precision="float32", fp8=True)
H200 = Device(name="cuda:0", description="NVIDIA H200", memory_bytes=150 * 10**9, precision="bfloat16", fp8=True)
B300 = Device(name="cuda:1", description="NVIDIA B300", memory_bytes=288 * 10**9, precision="bfloat16", fp8=True)
A100 = Device(name="cuda:0", description="NVIDIA A100", memory_bytes=150 * 10**9, precision="bfloat16", fp8=False)


def _diagnose(tmp_path: Path, *devices: Device, **settings: object) -> Diagnosis:
    values = {"data_dir": tmp_path / "data", "model": CHECKPOINT, **settings}
    return diagnose(Settings.model_validate(values), processor=PROCESSOR, devices=list(devices))


def test_on_this_machine_it_finds_the_checkpoint_fit_and_changes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DANQING_MODEL", str(CHECKPOINT))
    result = run("doctor")
    assert result.exit_code == 0, result.output
    for part in ("threads", "memory", "GPU", "precision", "pretrain", "This machine can serve"):
        assert part in result.stdout
    assert not (tmp_path / "data").exists()


def test_its_json_holds_the_same(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANQING_MODEL", str(CHECKPOINT))
    found = json.loads(run("doctor", "--json").stdout)
    assert found["problems"] == []
    assert found["fits"][0]["checkpoint"] == "pretrain"
    assert found["fits"][0]["device"] == "cpu"
    assert found["precision"] == found["devices"][-1]["precision"]
    assert found["processor"]["num_cores"] <= (os.cpu_count() or 1)
    page, pages = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    assert 0 < found["devices"][-1]["memory_bytes"] <= page * pages


def test_a_checkpoint_that_cannot_be_loaded_is_a_problem_and_exit_code_1(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Path(shutil.copytree(CHECKPOINT, tmp_path / "broken"))
    (broken / "tokenizer.json").unlink()
    monkeypatch.setenv("DANQING_MODEL", str(broken))
    result = run("doctor")
    assert result.exit_code == 1
    assert "tokenizer.json" in result.stdout
    assert "can serve" not in result.stdout


def test_the_published_weights_fit_a_machine_that_streams_them(tmp_path: Path) -> None:
    own, published, *rounded = _diagnose(tmp_path, CPU).fits
    assert own.device == "cpu"
    # Four bytes a number, because this processor has no native bfloat16: 82.6 billion of them, most of them on disk.
    assert (published.precision, published.device) == ("float32", "cpu")
    assert published.needed_bytes < 0.9 * 64e9
    assert 250e9 < published.moved_bytes < 330e9
    # On the device, or moved in each step: in fp8, 77 of 83 billion parameters take one byte, the others two or more.
    assert [(fit.precision, fit.device) for fit in rounded] == [("fp8", "cpu"), ("int4", "cpu")]
    assert rounded[1].moved_bytes < rounded[0].moved_bytes < published.moved_bytes


def test_they_do_not_fit_where_no_plan_does(tmp_path: Path) -> None:
    small = replace(CPU, memory_bytes=8 * 10**9)
    _, *published = _diagnose(tmp_path, small).fits
    assert all(fit.device is None and "may use 7.2 GB" in fit.why_not for fit in published)


def test_they_are_planned_for_the_devices_of_the_settings(tmp_path: Path) -> None:
    whole = _diagnose(tmp_path, H200, B300, CPU, device="cuda:1").fits[1]
    assert (whole.precision, whole.device, whole.moved_bytes) == ("bfloat16", "cuda:1", 0)
    smaller = _diagnose(tmp_path, H200, CPU, device="cuda").fits[1]
    assert smaller.device == "cuda:0"
    assert smaller.needed_bytes < 0.9 * H200.memory_bytes
    assert smaller.moved_bytes > 0


def test_in_fp8_they_fit_a_gpu_that_multiplies_it(tmp_path: Path) -> None:
    rounded = _diagnose(tmp_path, H200, CPU, device="cuda").fits[2]
    assert (rounded.precision, rounded.device, rounded.moved_bytes) == ("fp8", "cuda:0", 0)
    # 95.5 GB were measured while decoding, and each of two branches holds half a gigabyte of keys and values.
    assert rounded.needed_bytes == pytest.approx(95e9, rel=0.05)
    older = _diagnose(tmp_path, A100, CPU, device="cuda")
    assert older.fits[2].why_not == "cuda:0 has no fp8 products"
    assert older.problems == []


def test_it_plans_the_configured_checkpoint_in_every_precision(tmp_path: Path) -> None:
    plans = _diagnose(tmp_path, H200, CPU, device="cuda").plans
    assert [each.precision.value for each in plans] == ["float32", "bfloat16", "fp8", "int8", "int4"]
    assert all(each.plan and each.plan.devices[0].name == "cuda:0" for each in plans)


def test_caps_of_memory_count(tmp_path: Path) -> None:
    diagnosis = _diagnose(tmp_path, H200, CPU, device="cuda", device_memory="500MB")
    assert "may use 0.5 GB" in diagnosis.problems[0]
    assert "DANQING_DEVICE_MEMORY" in diagnosis.problems[0]


def test_several_devices_are_planned_together(tmp_path: Path) -> None:
    diagnosis = _diagnose(tmp_path, H200, B300, CPU, device="cuda:0,cuda:1")
    assert diagnosis.fits[0].device == "cuda:0, cuda:1"
    assert "DANQING_DEVICE is cuda:0,cuda:7" in _diagnose(tmp_path, H200, CPU, device="cuda:0,cuda:7").problems[0]


def test_fp8_on_a_device_without_it_is_a_problem(tmp_path: Path) -> None:
    own, published, _ = _diagnose(tmp_path, H200, CPU, device="cuda", precision="fp8").fits
    assert (own.precision, own.device, published.device) == ("fp8", "cuda:0", "cuda:0")
    (problem,) = _diagnose(tmp_path, A100, CPU, device="cuda", precision="fp8").problems
    assert problem == "DANQING_PRECISION is fp8, and cuda:0 (NVIDIA A100) has no fp8 products"


def test_a_device_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    diagnosis = _diagnose(tmp_path, CPU, device="cuda:3")
    assert "DANQING_DEVICE is cuda:3" in diagnosis.problems[0]
    assert diagnosis.fits[0].device is None


def test_devices_and_model_are_not_judged_where_other_machines_draw(tmp_path: Path) -> None:
    elsewhere = {"device": "cuda:3", "precision": "fp8", "model": tmp_path / "of the other machine"}
    diagnosis = _diagnose(tmp_path, CPU, engine="ray", **elsewhere)
    assert (diagnosis.problems, diagnosis.fits) == ([], [])
    assert diagnosis.remarks[0].startswith("DANQING_ENGINE is ray: other machines draw")
    assert _diagnose(tmp_path, CPU, **elsewhere).problems


def test_a_checkpoint_too_large_for_its_device_is_a_problem(tmp_path: Path) -> None:
    tiny = Device(name="cpu", description="Tiny", memory_bytes=10**8, precision="float32", fp8=True)
    (problem,) = _diagnose(tmp_path, tiny).problems
    assert problem.startswith("pretrain: the model needs at least")
    assert "may use 90.00 MB" in problem


@pytest.mark.parametrize(
    ("settings", "devices", "reason"),
    [
        ({}, [CPU], "cpu multiplies bfloat16 only by emulation"),
        ({"precision": "bfloat16"}, [CPU], "set by DANQING_PRECISION"),
        ({"device": "cuda"}, [H200, CPU], "cuda:0 multiplies it natively"),
    ],
)
def test_it_says_why_a_precision_was_chosen(
    tmp_path: Path, settings: dict[str, str], devices: list[Device], reason: str
) -> None:
    assert _diagnose(tmp_path, *devices, **settings).precision_reason == reason


def _problems(run: Run) -> list[str]:
    result = run("doctor", "--json")
    problems: list[str] = json.loads(result.stdout)["problems"]
    assert result.exit_code == (1 if problems else 0), result.output
    shown = run("doctor")
    assert shown.exit_code == result.exit_code
    assert [line.removeprefix("problem: ") for line in shown.stdout.splitlines() if "problem: " in line] == problems
    return problems


@pytest.fixture
def checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANQING_MODEL", str(CHECKPOINT))


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("DANQING_PORT", "http", "DANQING_PORT: Input should be a valid integer"),
        ("DANQING_PORT", "70000", "DANQING_PORT: Input should be less than or equal to 65535"),
        ("DANQING_EXPANDER", "remote", "DANQING_EXPANDER=remote needs DANQING_EXPANDER_URL"),
        ("DANQING_DATADIR", "/data", "DANQING_DATADIR is not a setting and is ignored; did you mean DANQING_DATA_DIR?"),
        ("DANQING_HOST", "no.such.host.invalid", "cannot listen on no.such.host.invalid: no address is known"),
        (
            "DANQING_DATABASE_URL",
            "mysql://host/db",
            "DANQING_DATABASE_URL: must begin with sqlite:/// or postgresql://",
        ),
        ("DANQING_DATABASE_URL", "postgresql://u:p@127.0.0.1:1/x", "the PostgreSQL server 127.0.0.1:1, database x"),
        ("DANQING_DATABASE_URL", "sqlite:////proc", "the database /proc is a folder"),
        ("DANQING_DATA_DIR", "/dev/null/data", "DANQING_DATA_DIR: the folder /dev/null/data cannot be written"),
        ("DANQING_MODEL", "tencent/HunyuanImage-3.0", "tencent/HunyuanImage-3.0: no such folder; if it is the name"),
    ],
)
def test_what_keeps_the_server_from_starting_is_one_line(
    run: Run, checkpoint: None, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(variable, value)
    (found,) = _problems(run)
    assert found.startswith(problem)


def test_several_problems_are_several_lines(run: Run, checkpoint: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("DANQING_PORT", str(port))
        monkeypatch.setenv("DANQING_STORAGE_URL", "s3://bucket")
        monkeypatch.setattr("danqing.cli.extras.find_spec", lambda name: None)
        library, address = _problems(run)
    assert library == "DANQING_STORAGE_URL: needs one more library: pip install 'danqing[s3]'"
    assert address.startswith(f"cannot listen on 127.0.0.1, port {port}: another program does")


def test_without_a_home_folder_the_variable_is_named_once(
    run: Run, checkpoint: None, homeless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DANQING_DATA_DIR", "")
    (problem,) = _problems(run)
    assert problem.startswith("DANQING_DATA_DIR: set it")


def test_a_service_of_the_same_name_is_a_remark_and_no_problem(
    run: Run, checkpoint: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DANQING_SERVICE_HOST", "10.96.0.12")
    assert _problems(run) == []
    assert "ignored what Kubernetes sets" in run("doctor").stdout


def test_a_data_folder_that_cannot_be_made_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    problems = _diagnose(tmp_path, CPU, data_dir=tmp_path / "file" / "data").problems
    assert any("cannot be written" in problem for problem in problems)
