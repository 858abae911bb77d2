"""What most commands begin with: the settings from the environment, and the database, made if it is not there.

Imports what it needs when it is called: `danqing --help` must not wait for a database library.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from danqing.cli.terminal import ExitCode, fail, notes

if TYPE_CHECKING:
    from danqing.accounts.bootstrap import FirstStart
    from danqing.database import Database
    from danqing.settings import Settings


def read_settings(**flags: str | int | None) -> Settings:
    """Read `DANQING_*`; a flag that was given wins. Ends the command when a value is wrong."""
    from pydantic import ValidationError

    from danqing.settings import ENVIRONMENT_PREFIX, Settings

    try:
        return Settings(**{name: value for name, value in flags.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = [
            f"{ENVIRONMENT_PREFIX}{'.'.join(map(str, entry['loc'])).upper()}: {entry['msg']}"
            for entry in error.errors(include_url=False)
        ]
        fail("; ".join(wrong), code=ExitCode.BAD_INPUT)


@contextmanager
def open_database() -> Iterator[Database]:
    """Open the database of the settings, after making what the first start makes."""
    from danqing.app import prepare
    from danqing.database import Database

    settings = read_settings()
    first = prepare(settings)
    if first is not None:
        tell_first_start(first, settings)
    database = Database(settings.effective_database_url)
    try:
        yield database
    finally:
        database.close()


def tell_first_start(first: FirstStart, settings: Settings) -> None:
    """Show what the first start made; the key is never shown again."""
    notes.print(
        f"Made {settings.data_dir} with account [bold]{first.account_id}[/], "
        f"{settings.starting_credits:,} credits and API key [bold]{first.key.secret}[/]",
        soft_wrap=True,
    )
