"""The terminal: output streams, JSON output and exit codes of all commands."""

import json
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

# Results go to standard output, so that they can be piped; messages go to standard error.
output = Console(highlight=False)
notes = Console(stderr=True, highlight=False)


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class ExitCode(IntEnum):
    """Exit codes; 2 is also the code for a bad option."""

    FAILED = 1
    BAD_INPUT = 2
    LEDGER_WRONG = 3
    ENGINE_FAILED = 4


def print_json(value: Any) -> None:
    """Print a result as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_as_text))


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    assert isinstance(value, Path), f"no JSON form of {value!r}"
    return str(value)


def fail(message: str, *, code: ExitCode = ExitCode.FAILED) -> NoReturn:
    """Print an error and end the command."""
    notes.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    raise typer.Exit(code)
