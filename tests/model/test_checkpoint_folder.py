"""A checkpoint's folder has a name for people, and what is wrong with it is said before any file is read."""

from pathlib import Path

import pytest

from danqing.hunyuan_image3.checkpoint_folder import check_folder, checkpoint_name
from danqing.hunyuan_image3.errors import CheckpointError


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/models/HunyuanImage-3.0", "HunyuanImage-3.0"),
        ("/cache/models--tencent--HunyuanImage-3.0/snapshots/3f2c1ab9d0", "HunyuanImage-3.0"),
        ("/cache/models--gpt2/snapshots/3f2c1ab9d0", "gpt2"),
        ("/models/snapshots/3f2c1ab9d0", "3f2c1ab9d0"),
        ("/models/a b.100%", "a b.100%"),
    ],
)
def test_a_checkpoint_is_named_by_its_folder_or_its_repository(folder: str, name: str) -> None:
    assert checkpoint_name(Path(folder)) == name


@pytest.mark.parametrize(("folder", "name"), [(".", "inner"), ("..", "outer"), ("../inner", "inner")])
def test_a_relative_folder_has_a_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, name: str
) -> None:
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert checkpoint_name(Path(folder)) == name


def test_inside_a_snapshot_the_short_path_gives_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = tmp_path / "models--tencent--HunyuanImage-3.0" / "snapshots" / "3f2c1ab9d0"
    snapshot.mkdir(parents=True)
    monkeypatch.chdir(snapshot)
    assert checkpoint_name(Path()) == "HunyuanImage-3.0"


def _said(folder: Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        check_folder(folder)
    return str(refused.value)


def test_a_folder_with_a_configuration_passes(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    check_folder(tmp_path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert _said(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: no such folder"


def test_a_repository_id_gets_the_command_that_downloads_it() -> None:
    said = _said(Path("tencent/HunyuanImage-3.0"))
    assert "no such folder" in said
    assert "danqing model download tencent/HunyuanImage-3.0" in said


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")
    assert _said(file) == f"{file}: is a file; give the folder that holds it"


def test_of_a_hub_cache_a_snapshot_is_proposed(tmp_path: Path) -> None:
    cache = tmp_path / "models--tencent--HunyuanImage-3.0"
    snapshot = cache / "snapshots" / "3f2c1ab9d0"
    snapshot.mkdir(parents=True)
    for folder in (cache, cache / "snapshots"):
        assert _said(folder) == f"{folder}: is a hub cache; give the folder of one snapshot, such as {snapshot}"


def test_an_empty_folder_is_called_so(tmp_path: Path) -> None:
    assert _said(tmp_path) == f"{tmp_path}: the folder is empty"


def test_a_folder_without_configuration_names_the_file_and_one_below_that_has_it(tmp_path: Path) -> None:
    (tmp_path / "readme").write_text("")
    assert _said(tmp_path).startswith(f"{tmp_path / 'config.json'}: file not found; a checkpoint folder must")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "config.json").write_text("{}")
    assert _said(tmp_path) == f"{tmp_path / 'config.json'}: file not found; {tmp_path / 'inner'} has one"


def test_a_path_that_the_system_does_not_take_is_one_sentence() -> None:
    assert _said(Path("x" * 300)).endswith(": cannot be read: File name too long")
