"""Why a database cannot be opened, in one sentence for its operator: which one, what is wrong, what to do.

Shows no password and no parameter of a statement.
"""

import os
import socket
import sqlite3
import ssl
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, SQLAlchemyError

from danqing.errors import SettingError

# The part of an extended error code of SQLite that says what kind it is.
PRIMARY_CODE = 0xFF
# Of SQLite itself, on Unix.
MAX_SQLITE_PATH_BYTES = 512

SQLITE_PROBLEMS = {
    sqlite3.SQLITE_NOTADB: "is not an SQLite database; move it away, or restore a backup",
    sqlite3.SQLITE_CORRUPT: "is damaged; restore a backup",
    sqlite3.SQLITE_READONLY: "cannot be written; give this user write permission for the file and its folder",
    sqlite3.SQLITE_BUSY: "is locked by another program; end that program, or try again when it is done",
    sqlite3.SQLITE_FULL: "has no room left on its disk; free some",
    sqlite3.SQLITE_IOERR: "cannot be read or written; its disk or network share fails",
}
# By SQLSTATE, the longest match first.
POSTGRESQL_PROBLEMS = {
    "28": "refuses the user or the password; check both in DANQING_DATABASE_URL",
    "3D": "has no such database; create it with createdb, or correct its name in DANQING_DATABASE_URL",
    "42501": "does not let this user do that; grant it the schema",
    "25006": "is read-only, as a standby is; set DANQING_DATABASE_URL to the primary server",
    "53": "has no connection, memory or disk left; raise its limits, or try again later",
    "57": "is starting or stopping; try again in a moment",
}


def parse_url(url: str) -> URL:
    """Parse a database URL, with `postgres://` for `postgresql://`. Raises SettingError, which never shows the URL."""
    try:
        parsed = make_url(url)
        # The second would be a password's; what follows it must not be taken for a host, and shown.
        if parsed.drivername != "sqlite" and url.count("@") > 1:
            raise ValueError
    except (ArgumentError, ValueError):
        raise SettingError(
            "DANQING_DATABASE_URL: cannot be read as a URL such as postgresql://user:password@host/database; "
            "in a password write @ as %40 and % as %25"
        ) from None
    return parsed.set(drivername="postgresql") if parsed.drivername == "postgres" else parsed


def described(url: URL) -> str:
    """The database's name for people, without a password."""
    if url.drivername == "sqlite":
        return f"the database {Path(url.database or '').absolute()}"
    host = url.host or url.query.get("host") or "localhost"
    user = f" (user {url.username})" if url.username else ""
    return f"the PostgreSQL server {host}:{url.port or 5432}, database {url.database or url.username}{user},"


def explanation(error: SQLAlchemyError | sqlite3.Error, url: URL) -> str | None:
    """The sentence for an error that says something about the database; None for a mistake of ours."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        problem = _sqlite_problem(cause, Path(url.database or ""))
    elif (told := _server_word(cause)) is not None:
        problem = _postgresql_problem(told)
    elif isinstance(error, InterfaceError):
        # What the driver says in words of its own is about the connection; the system's word for it is the cause.
        return unreachable((cause and cause.__cause__) or cause or error, url)
    else:
        problem = None
    return None if problem is None else f"{described(url)} {problem}"


def unreachable(error: BaseException, url: URL) -> str:
    """The sentence for a server that no connection can be made to."""
    if isinstance(error, socket.gaierror | UnicodeError):
        reason = "no address is known for this host"
    elif isinstance(error, OSError) and not isinstance(error, ssl.SSLError):
        reason = os.strerror(error.errno) if error.errno else str(error)
    else:
        reason = str(error)
    return f"{described(url)} cannot be reached: {reason}; start it, or correct DANQING_DATABASE_URL"


def unsuitable(error: DBAPIError, url: URL) -> str:
    """The sentence for a database that our tables cannot be made in."""
    told = _server_word(error.orig)
    reason = error.orig if told is None else told.get("M")
    return f"{described(url)} cannot take Danqing's tables: {reason}; use an empty one, or restore a backup"


def _server_word(error: BaseException | None) -> dict[str, str] | None:
    """The fields of a PostgreSQL server's error; the driver may meet the connection's end while it reports that."""
    while error is not None:
        if error.args and isinstance(error.args[0], dict):
            return error.args[0]
        error = error.__cause__ or error.__context__
    return None


def _sqlite_problem(error: sqlite3.Error, path: Path) -> str | None:
    # What the driver itself minds has no code.
    code = getattr(error, "sqlite_errorcode", 0) & PRIMARY_CODE
    if code != sqlite3.SQLITE_CANTOPEN:
        return SQLITE_PROBLEMS.get(code)
    if path.is_dir():
        return "is a folder; name the file in it"
    if not path.parent.is_dir():
        return "cannot be made; its folder does not exist"
    if len(os.fsencode(path)) > MAX_SQLITE_PATH_BYTES:
        return f"has a path of more than {MAX_SQLITE_PATH_BYTES} bytes, which SQLite cannot open; use a shorter one"
    return "cannot be opened; give this user write permission for the file and its folder"


def _postgresql_problem(told: dict[str, str]) -> str | None:
    state = told.get("C", "")
    known = [problem for prefix, problem in POSTGRESQL_PROBLEMS.items() if state.startswith(prefix)]
    return f"{known[0]} ({told.get('M')})" if known else None
