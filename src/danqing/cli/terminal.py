"""How commands talk to a person: what goes where, and what an exit code means. Knows no command."""

import json
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

# Results go to standard output, so that they can be piped; everything said about them goes to standard error.
output = Console(highlight=False)
notes = Console(stderr=True, highlight=False)


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class ExitCode(IntEnum):
    """What a command's exit code says; 2 is also what a wrong option gives."""

    FAILED = 1
    BAD_INPUT = 2
    LEDGER_WRONG = 3
    ENGINE_FAILED = 4


def print_json(value: Any) -> None:
    """Print a result for a program to read."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_as_text))


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    assert isinstance(value, Path), f"no JSON for {value!r}"
    return str(value)


def fail(message: str, *, code: ExitCode = ExitCode.FAILED) -> NoReturn:
    """Say what went wrong and end the command."""
    notes.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    raise typer.Exit(code)
