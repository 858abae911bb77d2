"""What `serve` says and refuses before there is a server; tests/acceptance runs the real one."""

import shlex
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from danqing.cli.serve import _curl

Run = Callable[..., Result]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_a_taken_port_is_said_in_one_line_and_makes_no_data_folder(
    run: Run, listener: socket.socket, tmp_path: Path
) -> None:
    port = listener.getsockname()[1]
    result = run("serve", "--port", str(port))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: cannot listen on 127.0.0.1, port {port}: another program does")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_a_host_that_is_not_ours_is_an_error(run: Run) -> None:
    result = run("serve", "--host", "no.such.host.invalid")
    assert result.exit_code == 2
    assert "no.such.host.invalid: no address is known" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_out_of_range_is_bad_input(run: Run, port: str) -> None:
    result = run("serve", "--port", port)
    assert result.exit_code == 2
    assert "--port" in result.stderr


def test_the_shown_curl_is_one_shell_command() -> None:
    words = shlex.split(_curl("http://127.0.0.1:8000", "k" * 32))
    assert words[:2] == ["curl", "http://127.0.0.1:8000/v1/images/generations"]
    assert "Authorization: Bearer " + "k" * 32 in words


def test_a_data_folder_that_cannot_be_written_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANQING_DATA_DIR", "/proc/danqing")
    result = run("serve")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: DANQING_DATA_DIR: the folder /proc/danqing cannot be made")
    assert result.stderr.count("\n") == 1


def test_a_missing_library_is_said_before_anything_starts(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("danqing.cli.extras.find_spec", lambda name: None)
    monkeypatch.setenv("DANQING_STORAGE_URL", "s3://bucket")
    result = run("serve")
    assert result.exit_code == 2
    assert "DANQING_STORAGE_URL: needs one more library: pip install 'danqing[s3]'" in result.stderr
    assert not (tmp_path / "data").exists()
