"""What `serve` says and refuses before there is a server; tests/acceptance runs the real one."""

import shlex
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import Result

from danqing.cli.serve import _curl, _listen, _url
from danqing.settings import Settings

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
    assert result.stderr == f"error: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert not (tmp_path / "data").exists()


def test_a_host_that_is_not_ours_is_an_error(run: Run) -> None:
    result = run("serve", "--host", "no.such.host.invalid")
    assert result.exit_code == 1
    assert "no.such.host.invalid" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_out_of_range_is_bad_input(run: Run, port: str) -> None:
    result = run("serve", "--port", port)
    assert result.exit_code == 2
    assert "port" in result.stderr.lower()


def test_port_0_takes_a_free_one() -> None:
    with _listen("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "localhost"), ("::", "localhost"), ("::1", "[::1]")],
)
def test_the_shown_address_can_be_called(listener: socket.socket, host: str, shown: str) -> None:
    assert _url(Settings(host=host), listener) == f"http://{shown}:{listener.getsockname()[1]}"


def test_behind_a_proxy_its_address_is_shown(listener: socket.socket) -> None:
    settings = Settings.model_validate({"public_url": "https://pictures.example.com/"})
    assert _url(settings, listener) == "https://pictures.example.com"


def test_the_shown_curl_is_one_shell_command() -> None:
    words = shlex.split(_curl("http://127.0.0.1:8000", "k" * 32))
    assert words[:2] == ["curl", "http://127.0.0.1:8000/v1/images/generations"]
    assert "Authorization: Bearer " + "k" * 32 in words


def test_an_answer_in_two_pieces_does_not_wait_for_the_first_to_be_confirmed() -> None:
    with _listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
