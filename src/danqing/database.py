"""The database: how to reach it and what a transaction is. Knows no table of any package.

SQLite by default (one writer at a time, WAL, foreign keys on), PostgreSQL by URL.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection

Result = TypeVar("Result")


class Database:
    """Opens transactions, in the calling thread or in a thread of its own."""

    def __init__(self, url: str) -> None:
        """Prepare connections to `sqlite:///path` or `postgresql://…`; nothing is opened before the first use."""
        raise NotImplementedError

    def migrate(self) -> None:
        """Bring the schema to this version; safe when several processes start at once."""
        raise NotImplementedError

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only looks."""
        raise NotImplementedError

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end and rolls back on any exception."""
        raise NotImplementedError

    async def run_read(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a reading transaction in a thread."""
        raise NotImplementedError

    async def run_write(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a writing transaction in a thread."""
        raise NotImplementedError

    def close(self) -> None:
        """Close every connection."""
        raise NotImplementedError
