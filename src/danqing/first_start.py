"""What a server and the commands need before they work: the data folder, the schema, and a first account with a key."""

import os
from collections.abc import Callable
from datetime import UTC, datetime

from danqing.accounts.bootstrap import FirstStart, bootstrap
from danqing.database import Database
from danqing.errors import OperatorError
from danqing.settings import Settings
from danqing.storage.local import FOLDER_MODE

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def prepare(settings: Settings, *, clock: Clock = utc_now) -> FirstStart | None:
    """Make the data folder, the schema, and at the very first start an account with a key, which is returned.

    Raises OperatorError.
    """
    if settings.database_url is None:
        make_data_folder(settings)
    database = Database(settings.database_location)
    try:
        database.migrate()
        with database.write() as conn:
            return bootstrap(conn, starting_credits=settings.starting_credits, now=clock())
    finally:
        database.close()


def make_data_folder(settings: Settings) -> None:
    """Make the data folder if it is not there. Raises OperatorError where nothing can be written."""
    folder = settings.data_folder
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
        raise OperatorError(f"DANQING_DATA_DIR: the folder {folder} cannot be made: {reason}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OperatorError(f"DANQING_DATA_DIR: the folder {folder} cannot be written by this user; set another")
