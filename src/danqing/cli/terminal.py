"""The terminal: output streams and their characters, JSON output and exit codes of all commands."""

import codecs
import json
import os
import sys
import unicodedata
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer
from rich.console import Console
from rich.markup import escape

# For terminals whose encoding lacks them. The frames of a spinner become dots.
PLAIN_CHARACTERS = {"…": "...", "–": "-", "—": "-", "×": "x", "²": "2", "’": "'", "“": '"', "”": '"'}
PLAIN_CHARACTERS |= {chr(pattern): "." for pattern in range(0x2800, 0x2900)}
PLAINLY = "danqing.plainly"
# Line ends, tabs, and the joiners of emoji and of Indian scripts.
HARMLESS_CONTROLS = "\n\t\u200c\u200d"


class Terminal(Console):
    """A console whose reader may leave, as `head` does: the command finishes its work in silence."""

    def on_broken_pipe(self) -> None:
        """Discard the rest of the output."""
        self.quiet = True
        # Python flushes the stream once more at exit.
        file = sys.stderr if self.stderr else sys.stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


# Results go to standard output, so that they can be piped; messages go to standard error.
output = Terminal(highlight=False, emoji=False)
notes = Terminal(stderr=True, highlight=False, emoji=False)


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


class ExitCode(IntEnum):
    """Exit codes; 2 is also the code for a bad option."""

    FAILED = 1
    BAD_INPUT = 2
    LEDGER_WRONG = 3
    ENGINE_FAILED = 4


def accept_any_text() -> None:
    """Let both streams take any text; characters that their encodings lack are replaced."""
    codecs.register_error(PLAINLY, _plainly)
    for stream in (sys.stdout, sys.stderr):
        # None where the stream was closed before the start.
        if stream is not None:
            stream.reconfigure(errors=PLAINLY)  # type: ignore[union-attr]


def _plainly(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    return "".join(PLAIN_CHARACTERS.get(character, "?") for character in text), error.end


def shows_unicode(stream: TextIO | None) -> bool:
    """Whether the stream's encoding has every character."""
    return stream is not None and (stream.encoding or "").lower().startswith("utf")


def path_argument(text: str) -> Path:
    """Parse a path of the command line. Expands `~`, which shells leave alone in `--model=~/x`."""
    if not text:
        raise typer.BadParameter("a path must not be empty")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise typer.BadParameter(f"there is no home folder for {text}; write the whole path") from None


def print_json(value: Any) -> None:
    """Print a result as JSON."""
    ensure_ascii = not shows_unicode(sys.stdout)
    output.out(json.dumps(value, indent=2, ensure_ascii=ensure_ascii, default=_as_text))


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    assert isinstance(value, Path), f"no JSON form of {value!r}"
    return str(value)


def literal(text: str) -> str:
    """Return markup that shows a text as it is; characters that would steer the terminal are written as escapes."""
    return escape("".join(char.encode("unicode_escape").decode() if _steers(char) else char for char in text))


def _steers(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf") and char not in HARMLESS_CONTROLS


def warn(message: str) -> None:
    """Print a warning in one line."""
    notes.print(f"[bold yellow]warning:[/] {literal(message)}", soft_wrap=True)


def fail(message: str, *, code: ExitCode = ExitCode.FAILED) -> NoReturn:
    """Print an error in one line and end the command."""
    notes.print(f"[bold red]error:[/] {literal(' '.join(message.split()))}", soft_wrap=True)
    raise typer.Exit(code)
