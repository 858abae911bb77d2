"""The session of a command: the settings from the environment, and the database, created if missing.

Imports happen inside the functions, so that `danqing --help` loads no database library.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from danqing.cli.environment import unknown_variables
from danqing.cli.terminal import ExitCode, fail, notes, warn

if TYPE_CHECKING:
    from pydantic import ValidationError

    from danqing.accounts.bootstrap import FirstStart
    from danqing.database import Database
    from danqing.settings import Settings


def read_settings(**flags: str | int | Path | None) -> Settings:
    """Read `DANQING_*` variables; flags override them. Ends the command if a value is invalid."""
    from pydantic import ValidationError

    from danqing.settings import Settings

    # An empty flag, as scripts write it for an empty variable, is none.
    given = {name: value for name, value in flags.items() if value not in (None, "")}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        fail("; ".join(wrong_settings(error, flags=given)), code=ExitCode.BAD_INPUT)


def wrong_settings(error: ValidationError, *, flags: Collection[str] = ()) -> list[str]:
    """Say of each wrong value what is wrong, naming the variable, or the flag that was given in its place."""
    from danqing.settings import ENVIRONMENT_PREFIX

    lines = []
    for entry in error.errors(include_url=False, include_input=False):
        message = entry["msg"].removeprefix("Value error, ")
        # What is wrong with several together names them itself.
        name = str(entry["loc"][0]) if entry["loc"] else None
        if name is not None:
            message = f"--{name}: {message}" if name in flags else f"{ENVIRONMENT_PREFIX}{name.upper()}: {message}"
        lines.append(message)
    return lines


def warn_of_unknown_variables() -> None:
    """Name every `DANQING_…` variable that is no setting, on standard error."""
    for line in unknown_variables(os.environ):
        warn(line)


@contextmanager
def open_database() -> Iterator[Database]:
    """Open the configured database; on the first start, create the default account and its key.

    Raises DatabaseProblem, and SettingError if the data folder cannot be used.
    """
    from danqing.database import Database
    from danqing.first_start import prepare

    settings = read_settings()
    warn_of_unknown_variables()
    first = prepare(settings)
    if first is not None:
        show_first_start(first, settings)
    database = Database(settings.database_location)
    try:
        with database.problems_explained():
            yield database
    finally:
        database.close()


def show_first_start(first: FirstStart, settings: Settings) -> None:
    """Print what the first start created; the key is never shown again."""
    notes.print(
        f"Created account [bold]{first.account_id}[/] with {settings.starting_credits:,} credits "
        f"and API key [bold]{first.key.secret}[/]",
        soft_wrap=True,
    )
