"""Checksums of a folder: what `sha256sum` reads too, and every change is named."""

import subprocess
from pathlib import Path

import pytest

from danqing.hunyuan_image3.checksums import CHECKSUMS_FILE, checksum, verify, write_checksums
from danqing.hunyuan_image3.errors import CheckpointError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "é notes.md").write_text("混元")
    (tmp_path / "weights").write_bytes(bytes(range(256)) * 9000)
    names = ["inner/é notes.md", "weights"]
    write_checksums(tmp_path, {name: checksum(tmp_path / name) for name in names})
    return tmp_path


def test_unchanged_files_are_counted_and_read_once(folder: Path) -> None:
    read: list[int] = []
    assert verify(folder, on_read=read.append) == 2
    assert sum(read) == 6 + 256 * 9000


def test_sha256sum_reads_them(folder: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", CHECKSUMS_FILE], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize("position", [0, 1_000_000, 256 * 9000 - 1])
def test_one_changed_byte_is_named_with_its_file(folder: Path, position: int) -> None:
    changed = bytearray((folder / "weights").read_bytes())
    changed[position] ^= 1
    (folder / "weights").write_bytes(changed)
    with pytest.raises(CheckpointError, match=r"weights: has changed"):
        verify(folder)


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "weights").unlink()
    with pytest.raises(CheckpointError, match=r"weights: file not found"):
        verify(folder)


@pytest.mark.parametrize("line", ["nonsense", "00  /etc/passwd", "00  ../outside"])
def test_a_record_that_cannot_be_read_is_named(folder: Path, line: str) -> None:
    (folder / CHECKSUMS_FILE).write_text(line + "\n")
    with pytest.raises(CheckpointError, match=rf"{CHECKSUMS_FILE}: cannot be read"):
        verify(folder)


def test_a_folder_without_a_record_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="only folders made by `danqing model convert`"):
        verify(tmp_path)
