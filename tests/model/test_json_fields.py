"""JSON files of a checkpoint: what cannot be read is named."""

import json
from pathlib import Path

import pytest

from danqing.hunyuan_image3.errors import CheckpointError
from danqing.hunyuan_image3.json_fields import read_json


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"3", json.dumps("x").encode()])
def test_a_file_that_is_no_json_object_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_json(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 3000\n", "Git LFS pointer"),
        ("<!DOCTYPE html>\n<html><body>Sign in</body></html>", "web page"),
        ("\n  <HTML>403</HTML>", "web page"),
    ],
)
def test_a_stand_in_is_told_from_broken_json(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(CheckpointError, match=rf"config\.json: is a {reason}"):
        read_json(path)
