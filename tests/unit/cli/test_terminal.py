"""Whatever the terminal or pipe, a command says what it can and never fails for a character or a reader that left."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from danqing.cli.main import app
from danqing.cli.terminal import fail, path_argument

Run = Callable[..., Result]
DANQING = Path(sys.executable).with_name("danqing")
LATIN_ONLY = {"PYTHONIOENCODING": "latin-1", "LC_ALL": "C", "TERM": "dumb"}


@pytest.fixture(params=["ascii", "latin-1"])
def narrow(request: pytest.FixtureRequest, run: Run) -> Run:
    """Run `danqing` where the streams take the characters of this encoding only."""
    runner = CliRunner(charset=request.param)
    return lambda *arguments: runner.invoke(app, list(arguments))


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"DANQING_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": os.pathsep.join(sys.path)}


def test_text_that_the_encoding_lacks_is_written_plainly(narrow: Run) -> None:
    assert narrow("accounts", "create", "design", "--name", "丹青 … ×").exit_code == 0
    listed = narrow("accounts", "list")
    assert listed.exit_code == 0, listed.output
    assert "?? ... " in listed.stdout


def test_json_stays_exact_in_any_encoding(narrow: Run) -> None:
    narrow("accounts", "create", "design", "--name", "丹青 :key: [bold]")
    accounts = json.loads(narrow("accounts", "list", "--json").stdout)
    assert {account["name"] for account in accounts} == {"Default account", "丹青 :key: [bold]"}


def test_in_unicode_the_json_is_readable(run: Run) -> None:
    run("accounts", "create", "design", "--name", "丹青")
    assert "丹青" in run("accounts", "list", "--json").stdout


@pytest.mark.parametrize(
    "arguments", [["--help"], ["generate", "--help"], ["paint"], ["credits", "grant", "丹"]], ids=str
)
def test_help_and_errors_need_no_unicode(narrow: Run, arguments: list[str]) -> None:
    result = narrow(*arguments)
    assert result.exit_code in (0, 2)
    assert not isinstance(result.exception, UnicodeError)


def test_an_error_with_markup_and_line_breaks_is_shown_as_it_is_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit):
        fail("[bold]:key:\n  x")
    assert capsys.readouterr().err == "error: [bold]:key: x\n"


def test_colours_are_left_out_where_they_are_not_wanted(environment: dict[str, str]) -> None:
    command = [DANQING, "keys", "list"]
    shown = subprocess.run(command, env=environment | LATIN_ONLY, capture_output=True, timeout=120, check=False)
    assert shown.returncode == 0, shown.stderr
    assert b"\x1b" not in shown.stdout + shown.stderr
    # Borders of a table that the encoding lacks become plain signs.
    assert shown.stdout.decode("ascii").startswith("+")


@pytest.mark.parametrize("redirection", ["| head -0", "--json | head -0", ">&-", "2>&- >&-"])
def test_a_reader_that_is_gone_stops_no_command(environment: dict[str, str], redirection: str) -> None:
    script = f"set -o pipefail; '{DANQING}' accounts list {redirection}"
    shown = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, timeout=120, check=False)
    assert shown.returncode == 0, shown.stderr
    assert b"Traceback" not in shown.stderr
    assert b"Broken pipe" not in shown.stderr


@pytest.mark.parametrize("text", ["~/models/M", "~"])
def test_a_path_on_the_command_line_may_be_in_the_home_folder(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert str(path_argument(text)) == text.replace("~", "/home/me")


@pytest.mark.parametrize(("text", "said"), [("", "must not be empty"), ("~/x", "there is no home folder")])
def test_a_path_that_leads_nowhere_is_bad_input(homeless: None, text: str, said: str) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        path_argument(text)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("[/bold] [red]x", "[/bold] [red]x"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("\u202eevil", "\\u202eevil"),
        ("\\[x] \\", "\\[x] \\"),
        ("丹青", "丹青"),
    ],
)
def test_names_are_listed_as_they_are_and_cannot_steer_the_terminal(run: Run, name: str, shown: str) -> None:
    assert run("accounts", "create", "design", "--name", name).exit_code == 0
    assert run("keys", "create", "--account", "design", "--name", name).exit_code == 0
    for command in (("accounts", "list"), ("keys", "list", "--account", "design")):
        listed = run(*command)
        assert listed.exit_code == 0, listed.output
        assert all(word in listed.stdout for word in shown.split())
        assert not {"\x1b", "\x07", "\u202e"} & set(listed.stdout)
