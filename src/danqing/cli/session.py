"""The session of a command: the settings from the environment, and the database, created if missing.

Imports happen inside the functions, so that `danqing --help` loads no database library.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from danqing.cli.terminal import ExitCode, fail, notes

if TYPE_CHECKING:
    from danqing.accounts.bootstrap import FirstStart
    from danqing.database import Database
    from danqing.settings import Settings


def read_settings(**flags: str | int | Path | None) -> Settings:
    """Read `DANQING_*` variables; flags override them. Ends the command if a value is invalid."""
    from pydantic import ValidationError

    from danqing.settings import ENVIRONMENT_PREFIX, Settings

    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        problems = [
            f"{ENVIRONMENT_PREFIX}{'.'.join(map(str, entry['loc'])).upper()}: {entry['msg']}"
            for entry in error.errors(include_url=False)
        ]
        fail("; ".join(problems), code=ExitCode.BAD_INPUT)


@contextmanager
def open_database() -> Iterator[Database]:
    """Open the configured database; on the first start, create the default account and its key."""
    from danqing.app import prepare
    from danqing.database import Database

    settings = read_settings()
    first = prepare(settings)
    if first is not None:
        show_first_start(first, settings)
    database = Database(settings.effective_database_url)
    try:
        yield database
    finally:
        database.close()


def show_first_start(first: FirstStart, settings: Settings) -> None:
    """Print what the first start created; the key is never shown again."""
    notes.print(
        f"Created {settings.data_dir} with account [bold]{first.account_id}[/], "
        f"{settings.starting_credits:,} credits and API key [bold]{first.key.secret}[/]",
        soft_wrap=True,
    )
