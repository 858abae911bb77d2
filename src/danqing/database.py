"""The database: connections and transactions. The tables belong to the packages that use them.

SQLite by default (one writer at a time, WAL, foreign keys on), PostgreSQL by URL. Every time is UTC.
"""

import os
import sqlite3
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import (
    URL,
    Connection,
    DateTime,
    Dialect,
    Engine,
    ExceptionContext,
    MetaData,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.types import TypeDecorator

from danqing.database_lanes import Lane, OutageLog
from danqing.database_problems import PRIMARY_CODE, described, explanation, parse_url, unreachable, unsuitable
from danqing.database_signals import SignalListener
from danqing.errors import DatabaseProblem, SettingError

# How long a transaction waits for the lock of an SQLite file.
BUSY_TIMEOUT_SECONDS = 5
# The same at a first start, when other servers may be migrating.
STARTUP_TIMEOUT_SECONDS = 30
# The same for `check`: a longer lock is worth a word.
CHECK_TIMEOUT_SECONDS = 2
WAL_RETRY_SECONDS = 0.01
MAX_CONNECTIONS = 8
# Keys, prompts and webhook secrets are in it.
FILE_MODE = 0o600
POSTGRESQL_DRIVER = "postgresql+pg8000"
SSL_MODES = ("disable", "require", "verify-full")
# An arbitrary number, the same for every server of a database.
MIGRATION_LOCK_ID = 0x64616E71

REVISION_TABLE = "alembic_version"
MIGRATIONS_FOLDER = Path(__file__).parent / "migrations"

Result = TypeVar("Result")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """A UTC time with its time zone, even on SQLite, which stores it as sortable text without one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None, "every stored time needs a time zone"
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """Opens transactions, in the calling thread or in a bounded pool of its own threads."""

    def __init__(self, location: str | Path) -> None:
        """Prepare connections to `sqlite:///path`, `postgresql://…` or an SQLite file; the first use opens one.

        Raises SettingError for any other URL.
        """
        self._url = _url(location)
        self._is_sqlite = self._url.drivername == "sqlite"
        self.engine = _sqlite_engine(self._url) if self._is_sqlite else _postgresql_engine(self._url)
        outage_log = OutageLog()
        # SQLite has one writer. A queue in front of it is faster than many threads that poll its lock.
        num_writers = 1 if self._is_sqlite else MAX_CONNECTIONS // 2
        self._writes = Lane("write", num_threads=num_writers, outage_log=outage_log)
        self._reads = Lane("read", num_threads=MAX_CONNECTIONS // 2, outage_log=outage_log)

    def migrate(self) -> None:
        """Migrate the schema to this version; safe when several processes start at once. Raises DatabaseProblem."""
        if self._is_sqlite:
            # Earlier versions let everybody read it. Another user's file is that user's business.
            with suppress(OSError):
                self._sqlite_file.chmod(FILE_MODE)
        with self._contact_explained(), self._patient_write() as conn:
            if not self._is_sqlite:
                conn.execute(text("SELECT pg_advisory_xact_lock(:id)"), {"id": MIGRATION_LOCK_ID})
            self._refuse_unknown(_revision(conn))
            config = _alembic_config()
            config.attributes["connection"] = conn
            command.upgrade(config, "head")

    def check(self) -> None:
        """Raise DatabaseProblem where `migrate` would, as far as one can tell without changing anything."""
        with self._contact_explained():
            if not self._is_sqlite:
                with self.read() as conn:
                    self._refuse_unknown(_revision(conn))
            elif self._sqlite_file.exists():
                self._refuse_unknown(_sqlite_revision(self._sqlite_file))

    @contextmanager
    def problems_explained(self) -> Iterator[None]:
        """Raise DatabaseProblem for errors that say something about the database; let mistakes of ours pass."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            told = explanation(error, self._url)
            if told is None:
                raise
            raise DatabaseProblem(told) from error

    @contextmanager
    def _contact_explained(self) -> Iterator[None]:
        """The same, and for errors of a first contact: an unknown host, no encryption, tables of another program."""
        try:
            with self.problems_explained():
                yield
        except (OSError, UnicodeError) as error:
            raise DatabaseProblem(unreachable(error, self._url)) from error
        except DBAPIError as error:
            raise DatabaseProblem(unsuitable(error, self._url)) from error

    @property
    def _sqlite_file(self) -> Path:
        return Path(self._url.database or "")

    def _refuse_unknown(self, revision: str | None) -> None:
        scripts = ScriptDirectory.from_config(_alembic_config())
        if revision is not None and revision not in {script.revision for script in scripts.walk_revisions()}:
            raise DatabaseProblem(
                f"{described(self._url)} was made by a newer version of Danqing: its schema is {revision}, and this "
                f"version knows up to {scripts.get_current_head()}; install the newer version, or restore the backup"
            )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read-only transaction."""
        with self.engine.connect() as conn:
            conn = conn.execution_options(danqing_read_only=True)
            with conn.begin():
                yield conn

    @contextmanager
    def _patient_write(self) -> Iterator[Connection]:
        with self.engine.connect() as conn:
            if self._is_sqlite:
                driver: Any = conn.connection.driver_connection
                driver.execute(f"PRAGMA busy_timeout = {STARTUP_TIMEOUT_SECONDS * 1000}").close()
            with conn.begin():
                yield conn
            # The pool would hand it out with its patience.
            conn.invalidate()

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """A transaction that commits at the end, or rolls back on an exception.

        On SQLite, one that is not `durable` does not wait for the disk, and a power cut may undo it.
        """
        with self.engine.connect() as conn:
            conn = conn.execution_options(danqing_durable=durable)
            with conn.begin():
                yield conn

    async def run_read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` in a read-only transaction in a thread. Raises Overloaded when the database is away."""
        return await self._reads.run(work, transaction=self.read)

    async def run_write(self, work: Callable[[Connection], Result], *, durable: bool = True) -> Result:
        """Run `work` in a transaction of `write` in a thread. Raises Overloaded when the database is away or full.

        A cancelled caller still waits for the transaction, so it knows whether the transaction committed.
        """
        return await self._writes.run(work, transaction=partial(self.write, durable=durable))

    async def check_writable(self) -> None:
        """Raise Overloaded unless the database takes a write now and has taken all of late."""
        await self.run_write(_touch_revision, durable=False)
        self._writes.require_settled()

    def signal_listener(self, channel: str) -> SignalListener | None:
        """Return a listener to the signals of a channel; None on SQLite, which has none."""
        return None if self._is_sqlite else SignalListener(_signal_connect_args(self._url), channel)

    def close(self) -> None:
        """Finish running transactions and close every connection."""
        self._writes.close()
        self._reads.close()
        self.engine.dispose()


def _url(location: str | Path) -> URL:
    if isinstance(location, Path):
        # A path is no URL: it may hold any character.
        return URL.create("sqlite", database=str(location.absolute()))
    url = parse_url(location)
    if url.drivername == "sqlite":
        if not url.database or url.database == ":memory:":
            raise SettingError("DANQING_DATABASE_URL: must name a file: sqlite:///path/to/danqing.db")
        return url.set(database=str(_expanded(url.database)))
    if url.drivername in ("postgresql", POSTGRESQL_DRIVER):
        if not url.username:
            raise SettingError("DANQING_DATABASE_URL: must name a user: postgresql://user:password@host/database")
        return url
    raise SettingError(
        f"DANQING_DATABASE_URL: must begin with sqlite:/// or postgresql://, not with {url.drivername}://"
    )


def _expanded(file: str) -> Path:
    try:
        return Path(file).expanduser().absolute()
    except RuntimeError:
        raise SettingError("DANQING_DATABASE_URL: there is no home folder for ~; write the whole path") from None


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS_FOLDER).replace("%", "%%"))
    return config


def _revision(conn: Connection) -> str | None:
    if not inspect(conn).has_table(REVISION_TABLE):
        return None
    return conn.execute(text(f"SELECT version_num FROM {REVISION_TABLE}")).scalar()


def _touch_revision(conn: Connection) -> None:
    # A change, though to the same: locks alone are given out by standbys and full disks too.
    conn.execute(text(f"UPDATE {REVISION_TABLE} SET version_num = version_num"))


def _sqlite_revision(path: Path) -> str | None:
    """Read the revision of an existing file, whose lock must be free, with a connection that creates nothing."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=CHECK_TIMEOUT_SECONDS)
    with closing(connection):
        connection.execute("BEGIN IMMEDIATE")
        tables = connection.execute("SELECT name FROM sqlite_master WHERE name = ?", (REVISION_TABLE,)).fetchall()
        found = connection.execute(f"SELECT version_num FROM {REVISION_TABLE}").fetchone() if tables else None
        connection.execute("ROLLBACK")
    return None if found is None else str(found[0])


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=MAX_CONNECTIONS,
        max_overflow=0,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "do_connect", _create_privately)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _create_privately(_dialect: Any, _record: Any, arguments: list[Any], _parameters: Any) -> None:
    # SQLite gives its other files the mode of this one. Only ever a new file: to close an existing one would end its
    # locks in this process. What cannot be created, SQLite itself reports.
    with suppress(OSError):
        os.close(os.open(arguments[0], os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE))


def _prepare_sqlite(dbapi_connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own transaction handling starts transactions late and commits before DDL.
    dbapi_connection.isolation_level = None
    _switch_to_wal(dbapi_connection)
    dbapi_connection.execute("PRAGMA foreign_keys=ON").close()


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait for this lock, and processes that open a new file at once compete for it.
    deadline = time.monotonic() + STARTUP_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & PRIMARY_CODE == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() > deadline:
                raise
            time.sleep(WAL_RETRY_SECONDS)


def _begin_sqlite(conn: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for the write lock, so it takes the lock at its start.
    options = conn.get_execution_options()
    if options.get("danqing_read_only", False):
        conn.exec_driver_sql("BEGIN")
        return
    # NORMAL commits reach the disk with the next FULL one, in their order.
    conn.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('danqing_durable', True) else 'NORMAL'}")
    conn.exec_driver_sql("BEGIN IMMEDIATE")


def _postgresql_engine(url: URL) -> Engine:
    try:
        # Signals have a driver of their own, which is used later.
        import_module("asyncpg")
        engine = create_engine(
            url.set(drivername=POSTGRESQL_DRIVER, query={}),
            hide_parameters=True,
            pool_size=MAX_CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args=_postgresql_connect_args(url),
        )
    except ModuleNotFoundError as error:
        raise SettingError(
            "DANQING_DATABASE_URL: PostgreSQL needs more libraries: pip install 'danqing[postgresql]'"
        ) from error
    event.listen(engine, "handle_error", _hide_row_values)
    return engine


def _hide_row_values(context: ExceptionContext) -> None:
    # The server's detail of a broken constraint quotes the whole row, secrets and prompts included.
    told = context.original_exception.args[0] if context.original_exception.args else None
    if isinstance(told, dict) and context.sqlalchemy_exception is not None:
        told.pop("D", None)
        context.sqlalchemy_exception.args = (str(context.original_exception),)


def _postgresql_connect_args(url: URL) -> dict[str, Any]:
    """Translate libpq's query parameters for this driver, which reads none of them."""
    query = dict(url.query)
    connect_args: dict[str, Any] = {}
    socket_folder = query.pop("host", None)
    if socket_folder is not None:
        connect_args["unix_sock"] = f"{socket_folder}/.s.PGSQL.{url.port or 5432}"
    ssl_mode = query.pop("sslmode", "disable")
    if ssl_mode not in SSL_MODES:
        raise SettingError(f"DANQING_DATABASE_URL: sslmode is {' or '.join(SSL_MODES)}, not {ssl_mode!r}")
    if ssl_mode != "disable":
        context = ssl.create_default_context()
        if ssl_mode == "require":
            # As in libpq: encrypted, without checking the server's identity.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        connect_args["ssl_context"] = context
    if query:
        raise SettingError(f"DANQING_DATABASE_URL: unknown options: {', '.join(sorted(query))}")
    return connect_args


def _signal_connect_args(url: URL) -> dict[str, Any]:
    """Return the arguments of the other driver, whose connections wait for signals."""
    connect_args = _postgresql_connect_args(url)
    socket_folder = url.query.get("host")
    return {
        "host": socket_folder or url.host,
        "port": url.port or 5432,
        "user": url.username,
        "password": url.password,
        "database": url.database,
        "ssl": connect_args.get("ssl_context", False),
    }
