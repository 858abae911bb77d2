"""Help is fast and shows examples; errors are one line and an exit code."""

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import Result

from danqing.cli.terminal import ExitCode

Run = Callable[..., Result]

COMMANDS = [
    ["serve"],
    ["generate"],
    ["keys", "create"],
    ["keys", "list"],
    ["keys", "revoke"],
    ["credits", "grant"],
    ["credits", "balance"],
    ["credits", "check"],
    ["accounts", "create"],
    ["accounts", "list"],
    ["model", "info"],
    ["model", "download"],
    ["accounts", "webhook-secret"],
    ["doctor"],
    ["ray", "deploy"],
    ["ray", "status"],
]


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from danqing.cli.main import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'sqlalchemy', 'fastapi', 'pydantic', 'numpy', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", [["keys", "list"], ["credits", "balance"]], ids=" ".join)
def test_a_command_on_the_database_imports_no_server(tmp_path: Path, command: list[str]) -> None:
    program = (
        "import sys; from danqing.cli.main import app\n"
        f"try: app({command!r})\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'torch', 'fastapi', 'httpx', 'numpy', 'PIL'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    environment = os.environ | {"DANQING_DATA_DIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_a_command_shows_an_example(run: Run, command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Example:" in result.output


def test_no_arguments_show_the_help_with_the_exit_codes(run: Run) -> None:
    shown = run().output
    assert "generate" in shown
    assert all(f"{code.value} " in shown.split("Exit codes:")[1] for code in ExitCode)


def test_an_unknown_command_is_bad_input(run: Run) -> None:
    assert run("paint").exit_code == 2


def test_a_wrong_setting_names_its_variable(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DANQING_MAX_QUEUED_JOBS", "none")
    result = run("credits", "balance")
    assert result.exit_code == 2
    assert "DANQING_MAX_QUEUED_JOBS" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_data_folder_that_cannot_be_made_is_an_error_and_no_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DANQING_DATA_DIR", "/proc/nowhere")
    result = run("credits", "balance")
    assert result.exit_code == 1
    assert "error:" in result.stderr
    assert "/proc/nowhere" in result.stderr


BAD_INPUT = [
    ["serve", "--port", "http"],
    ["serve", "--port", "70000"],
    ["serve", "--host", "a..b"],
    ["serve", "--paint"],
    ["generate"],
    ["generate", "a fox", "--model", "~nobody.of.this.name/model"],
    ["generate", "a fox", "-o", ""],
    ["keys", "create", "--name", "x", "--account", "nobody"],
    ["keys", "create", "--name", "x" * 1000],
    ["keys", "list", "--account", "nobody"],
    ["keys", "revoke", "\x00"],
    ["credits", "grant", "1e9"],
    ["credits", "grant", "99999999999999999999999"],
    ["credits", "balance", "--account", "\udcff"],
    ["accounts", "create", "../x", "--name", "x"],
    ["accounts", "webhook-secret", "--account", ""],
    ["model", "info", "\x00"],
    ["model", "info", "x" * 5000],
    ["model", "info", "tencent/HunyuanImage-3.0"],
    ["model"],
]


@pytest.mark.parametrize(
    "arguments", BAD_INPUT, ids=lambda arguments: " ".join(arguments)[:40].encode("ascii", "replace").decode()
)
def test_bad_input_of_any_command_is_exit_code_2_and_no_traceback(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    "command", [["serve"], ["keys", "list"], ["credits", "check"], ["accounts", "list"]], ids=" ".join
)
@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("postgresql://u:sesame@127.0.0.1:1/x", 1, "cannot be reached: Connection refused"),
        ("postgresql://u:sesame@host:port/x", 2, "cannot be read as a URL"),
    ],
)
def test_a_database_that_cannot_be_opened_is_one_line_without_its_password(
    run: Run, monkeypatch: pytest.MonkeyPatch, command: list[str], url: str, code: int, said: str
) -> None:
    monkeypatch.setenv("DANQING_DATABASE_URL", url)
    result = run(*command)
    assert result.exit_code == code
    assert said in result.stderr
    assert "sesame" not in result.output
    assert result.stderr.count("\n") == 1


def test_a_variable_that_is_no_setting_is_named_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("keys", "list")
    monkeypatch.setenv("DANQING_DATADIR", "/data")
    result = run("keys", "list")
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: DANQING_DATADIR is not a setting and is ignored; did you mean DANQING_DATA_DIR?\n"
    )


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version").stdout == f"danqing {version('danqing')}\n"


def test_the_shell_completes_commands() -> None:
    environment = os.environ | {"_DANQING_COMPLETE": "complete_bash", "COMP_WORDS": "danqing ge", "COMP_CWORD": "1"}
    program = "from danqing.cli.main import app; app(prog_name='danqing')"
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout.split() == ["generate"]
