"""How commands talk to a person: what goes where, and what an exit code means. Knows no command."""

from enum import IntEnum
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape

# Results go to standard output, so that they can be piped; everything said about them goes to standard error.
output = Console(highlight=False)
notes = Console(stderr=True, highlight=False)


class ExitCode(IntEnum):
    """What a command's exit code says; 2 is also what a wrong option gives."""

    FAILED = 1
    BAD_INPUT = 2
    LEDGER_WRONG = 3
    ENGINE_FAILED = 4


def fail(message: str, *, code: ExitCode = ExitCode.FAILED) -> NoReturn:
    """Say what went wrong and end the command."""
    notes.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    raise typer.Exit(code)
