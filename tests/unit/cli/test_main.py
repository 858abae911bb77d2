"""Help is fast and shows examples; errors are one line and an exit code."""

import os
import subprocess
import sys
from collections.abc import Callable

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
    ["accounts", "webhook-secret"],
    ["doctor"],
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


def test_the_shell_completes_commands() -> None:
    environment = os.environ | {"_DANQING_COMPLETE": "complete_bash", "COMP_WORDS": "danqing ge", "COMP_CWORD": "1"}
    program = "from danqing.cli.main import app; app(prog_name='danqing')"
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout.split() == ["generate"]
