"""`model download` from a small hub on this machine: the ordinary way, interruptions, and every way it can go wrong."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest
from local_hub import REPOSITORY, REVISION, LocalHub, running
from safetensors.torch import load_file
from tiny_checkpoints import write_distil, write_sharded
from typer.testing import Result

Run = Callable[..., Result]

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a tiny sharded checkpoint, one of them in a folder."""
    folder = write_distil(tmp_path_factory.mktemp("published") / "distil")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    halves = {FIRST: names[: len(names) // 2], SECOND: names[len(names) // 2 :]}
    write_sharded(folder, {file: {name: tensors[name] for name in half} for file, half in halves.items()})
    (folder / "assets").mkdir()
    (folder / "assets" / "notes.md").write_text("# 混元\n")
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def hub(published: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with running(LocalHub(files=dict(published), large={FIRST, SECOND})) as hub:
        # The library reads its environment once, when it is imported; a test below sets HF_ENDPOINT for a new process.
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            huggingface_hub.constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models" / "distil"


@pytest.fixture
def download(run: Run, hub: LocalHub, folder: Path) -> Run:
    """Download the hub's checkpoint into the folder without being asked."""
    return lambda *arguments: run("model", "download", "instruct-distil", "--to", str(folder), "--yes", *arguments)


def files_in(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_every_file_arrives_and_the_folder_loads(run: Run, download: Run, hub: LocalHub, folder: Path) -> None:
    result = download()
    assert result.exit_code == 0, result.output
    assert files_in(folder) == hub.files
    assert f"all {len(hub.files)} files are there and right" in result.stdout
    assert f"DANQING_MODEL={folder} danqing serve" in result.stdout
    assert run("model", "info", str(folder)).exit_code == 0


def test_licence_and_size_are_shown_before_anything_is_downloaded(run: Run, hub: LocalHub, folder: Path) -> None:
    def answering(answer: str) -> Result:
        return run("model", "download", REPOSITORY, "--to", str(folder), input=answer)

    refused = answering("n\n")
    assert refused.exit_code == 1
    size = sum(map(len, hub.files.values())) / 1e6
    for part in (
        REPOSITORY,
        "tencent-hunyuan-community, LICENSE",
        f"{size:.1f} MB in {len(hub.files)} files",
        str(folder),
    ):
        assert part in refused.stderr
    assert (hub.served, folder.exists()) == ({}, False)
    silent = answering("")
    assert (silent.exit_code, "--yes" in silent.stderr) == (2, True)
    assert (hub.served, folder.exists()) == ({}, False)
    assert answering("y\n").exit_code == 0
    assert files_in(folder) == hub.files


def test_a_licence_that_is_not_stated_is_said_to_be(download: Run, hub: LocalHub) -> None:
    hub.card = {}
    assert "licence: not stated" in download().stderr


def test_a_connection_that_breaks_is_resumed_in_the_middle_of_a_file(
    download: Run, hub: LocalHub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is kept of a broken connection are whole chunks.
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.cut_after = {SECOND: 5500}
    assert download().exit_code == 0
    assert hub.served[SECOND] == [None, "bytes=5000-"]
    assert files_in(folder) == hub.files


def test_after_an_interruption_only_the_missing_files_come(download: Run, hub: LocalHub, folder: Path) -> None:
    hub.cut_after, hub.down_after_cut = {SECOND: len(hub.files[SECOND]) // 2}, True
    broken = download()
    assert broken.exit_code == 1
    assert broken.stderr.count("error:") == 1
    assert "500" in broken.stderr
    assert not (folder / SECOND).exists()
    left_by_a_kill = folder / ".cache" / "huggingface" / "download" / "x.incomplete"
    left_by_a_kill.write_bytes(b"x")
    arrived = files_in(folder)
    hub.cut_after, hub.served = {}, {}
    resumed = download()
    assert resumed.exit_code == 0, resumed.output
    assert "are missing" in resumed.stderr
    assert SECOND in hub.served
    assert not hub.served.keys() & arrived.keys()
    assert files_in(folder) == hub.files
    assert not left_by_a_kill.exists()


def test_a_finished_download_is_only_checked(download: Run, hub: LocalHub) -> None:
    assert download().exit_code == 0
    hub.served.clear()
    again = json.loads(download("--json").stdout)
    assert (again["repository"], again["revision"], again["num_files"]) == (REPOSITORY, REVISION, len(hub.files))
    assert hub.served == {}


@pytest.mark.parametrize("name", [FIRST, "config.json"])
def test_a_file_that_was_damaged_is_noticed_and_comes_again(
    download: Run, hub: LocalHub, folder: Path, name: str
) -> None:
    assert download().exit_code == 0
    data = bytearray(hub.files[name])
    data[-1] ^= 1
    (folder / name).write_bytes(data)
    damaged = download()
    assert damaged.exit_code == 1
    assert f"{name}: has other contents than the hub's" in damaged.stderr
    assert download().exit_code == 0
    assert files_in(folder) == hub.files


def test_a_file_of_another_size_than_the_hub_says_is_not_accepted(download: Run, hub: LocalHub, folder: Path) -> None:
    hub.claimed_sizes = {FIRST: len(hub.files[FIRST]) + 1}
    result = download()
    assert result.exit_code == 1
    assert FIRST in result.stderr
    assert f"{len(hub.files[FIRST]):,} bytes" in result.stderr or "size" in result.stderr
    assert "files are there" not in result.output


def test_a_shard_that_the_repository_lacks_is_named_before_the_others_come(download: Run, hub: LocalHub) -> None:
    del hub.files[SECOND]
    result = download()
    assert result.exit_code == 1
    assert f"{INDEX} names {SECOND}, which the repository does not hold" in result.stderr
    assert FIRST not in hub.served


def test_without_room_nothing_is_downloaded(download: Run, hub: LocalHub, folder: Path) -> None:
    hub.claimed_sizes = {FIRST: 10**18}
    result = download()
    assert result.exit_code == 1
    assert "1,000,000,000.0 GB are needed" in result.stderr
    assert (hub.served, folder.exists()) == ({}, False)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, "RepoNotFound", "the hub has no such repository"),
        (401, "", "the hub has no such repository"),
        (403, "GatedRepo", "HF_TOKEN"),
        (500, "", "500"),
    ],
)
def test_a_refusal_of_the_hub_is_one_line(download: Run, hub: LocalHub, status: int, code: str, words: str) -> None:
    hub.status = (status, code)
    result = download()
    assert result.exit_code == 1
    assert f"error: {REPOSITORY}: " in result.stderr
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("name", ["instruct-distill", "HunyuanImage-3.0"])
def test_an_unknown_name_is_told_the_known_ones(run: Run, hub: LocalHub, name: str) -> None:
    result = run("model", "download", name, "--yes")
    assert result.exit_code == 2
    assert "base, instruct, instruct-distil" in result.stderr


@pytest.mark.parametrize("name", ["a/b/c", "tencent/", "../models"])
def test_what_is_no_repository_id_is_bad_input(run: Run, hub: LocalHub, name: str) -> None:
    result = run("model", "download", name, "--yes")
    assert result.exit_code in (1, 2)
    assert result.stderr.startswith(f"error: {name}: ")


def test_a_repository_without_a_checkpoint_is_refused(download: Run, hub: LocalHub) -> None:
    hub.files = {"README.md": b"# words"}
    result = download()
    assert result.exit_code == 1
    assert "holds no checkpoint" in result.stderr


def test_a_file_outside_of_the_folder_is_refused(download: Run, hub: LocalHub, folder: Path) -> None:
    hub.files["../evil.py"] = b"x"
    result = download()
    assert result.exit_code == 1
    assert "outside of its folder" in result.stderr
    assert not folder.exists()


def test_without_a_folder_it_goes_beside_the_pictures(run: Run, hub: LocalHub, tmp_path: Path) -> None:
    assert run("model", "download", "instruct-distil", "--yes").exit_code == 0
    assert files_in(tmp_path / "data" / "models" / "HunyuanImage-3.0-Instruct-Distil") == hub.files


def test_another_hub_is_named_by_the_usual_variable(hub: LocalHub, folder: Path, tmp_path: Path) -> None:
    danqing = Path(sys.executable).with_name("danqing")
    environment = os.environ | {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    command = [danqing, "model", "download", "instruct-distil", "--to", folder, "--yes"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    assert files_in(folder) == hub.files
    shutil.rmtree(folder)
