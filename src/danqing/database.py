"""The database: how to reach it and what a transaction is. Knows no table of any package.

SQLite by default (one writer at a time, WAL, foreign keys on), PostgreSQL by URL. Every time is UTC.
"""

import asyncio
import logging
import sqlite3
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, DateTime, Dialect, Engine, MetaData, create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, InterfaceError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.types import TypeDecorator

from danqing.database_problems import PRIMARY_CODE, described, explanation, parse_url, unreachable, unsuitable
from danqing.errors import DatabaseProblem, Overloaded, SettingError

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_SECONDS = 30
WAL_RETRY_SECONDS = 0.01
# For `check` alone: a lock that lasts longer is worth a word.
CHECK_TIMEOUT_SECONDS = 2
MAX_CONNECTIONS = 8
POSTGRESQL_DRIVER = "postgresql+pg8000"
SSL_MODES = ("disable", "require", "verify-full")
# Any number will do, as long as every server of one database uses the same.
MIGRATION_LOCK_ID = 0x64616E71

# What a caller can only wait for. SQLite: locked all the time, no room, a file that cannot be opened, read or written.
SQLITE_OUTAGES = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
)
# The same in PostgreSQL's classes of errors: connection, resources, operator, system.
POSTGRESQL_OUTAGES = ("08", "53", "57", "58")
OUTAGE_RETRY_SECONDS = 30

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
    """A moment with its time zone, also where the database keeps none: SQLite stores it as sortable UTC text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None, "a moment without a time zone is a mistake of ours"
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Database:
    """Opens transactions, in the calling thread or in one of a bounded number of its own."""

    def __init__(self, location: str | Path) -> None:
        """Prepare connections to `sqlite:///path`, `postgresql://…` or an SQLite file; nothing is opened yet.

        Raises SettingError for any other URL.
        """
        self._url = _url(location)
        self._is_sqlite = self._url.drivername == "sqlite"
        self.engine = _sqlite_engine(self._url) if self._is_sqlite else _postgresql_engine(self._url)
        # SQLite has one writer. Queueing for it in order beats polling its lock from many threads.
        num_writers = 1 if self._is_sqlite else MAX_CONNECTIONS // 2
        self._writers = ThreadPoolExecutor(num_writers, thread_name_prefix="database-write")
        self._readers = ThreadPoolExecutor(MAX_CONNECTIONS // 2, thread_name_prefix="database-read")

    def migrate(self) -> None:
        """Bring the schema to this version; safe when several processes start at once. Raises DatabaseProblem."""
        with self._contact_explained(), self.write() as conn:
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
            elif (path := Path(self._url.database or "")).exists():
                self._refuse_unknown(_sqlite_revision(path))

    @contextmanager
    def problems_explained(self) -> Iterator[None]:
        """Raise DatabaseProblem for whatever keeps the database from being used; let mistakes of ours pass."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            told = explanation(error, self._url)
            if told is None:
                raise
            raise DatabaseProblem(told) from error

    @contextmanager
    def _contact_explained(self) -> Iterator[None]:
        """As above, and for what only a first contact meets: no such host, no encryption, tables of somebody else."""
        try:
            with self.problems_explained():
                yield
        except (OSError, UnicodeError) as error:
            raise DatabaseProblem(unreachable(error, self._url)) from error
        except DBAPIError as error:
            raise DatabaseProblem(unsuitable(error, self._url)) from error

    def _refuse_unknown(self, revision: str | None) -> None:
        scripts = ScriptDirectory.from_config(_alembic_config())
        if revision is not None and revision not in {script.revision for script in scripts.walk_revisions()}:
            raise DatabaseProblem(
                f"{described(self._url)} was made by a newer version of Danqing: its schema is {revision}, and this "
                f"version knows up to {scripts.get_current_head()}; install the newer version, or restore the backup"
            )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only looks."""
        with self.engine.connect() as conn:
            conn = conn.execution_options(danqing_read_only=True)
            with conn.begin():
                yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits at the end and rolls back on any exception."""
        with self.engine.begin() as conn:
            yield conn

    async def run_read(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a reading transaction in a thread. Raises Overloaded when the database is away."""
        return await _in_thread(self._readers, self._work_reading, work)

    async def run_write(self, work: Callable[[Connection], Result]) -> Result:
        """Do `work` in a writing transaction in a thread. Raises Overloaded when the database is away or full.

        A cancelled caller still waits for the transaction, so that it always knows whether it happened.
        """
        return await _in_thread(self._writers, self._work_writing, work)

    def close(self) -> None:
        """Finish what runs and close every connection."""
        self._writers.shutdown()
        self._readers.shutdown()
        self.engine.dispose()

    def _work_reading(self, work: Callable[[Connection], Result]) -> Result:
        with _outages_told(), self.read() as conn:
            return work(conn)

    def _work_writing(self, work: Callable[[Connection], Result]) -> Result:
        with _outages_told(), self.write() as conn:
            return work(conn)


@contextmanager
def _outages_told() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        if not _is_outage(error):
            raise
        logger.exception("the database cannot be used")
        message = "The database cannot be reached or has no room; try again later."
        raise Overloaded(message, retry_after_seconds=OUTAGE_RETRY_SECONDS) from error


def _is_outage(error: SQLAlchemyError) -> bool:
    if not isinstance(error, DBAPIError):
        return isinstance(error, NoConnectionFree)
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        # The low byte is the kind, what is above it the particulars; what the driver itself minds has none.
        return getattr(cause, "sqlite_errorcode", 0) & PRIMARY_CODE in SQLITE_OUTAGES
    told = cause.args[0] if cause is not None and cause.args else None
    if isinstance(told, dict):
        return str(told.get("C", "")).startswith(POSTGRESQL_OUTAGES)
    # What the driver says in words of its own is about the connection.
    return isinstance(error, InterfaceError)


async def _in_thread(
    threads: ThreadPoolExecutor,
    run: Callable[[Callable[[Connection], Result]], Result],
    work: Callable[[Connection], Result],
) -> Result:
    future = asyncio.get_running_loop().run_in_executor(threads, run, work)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        # Leaving now would let the caller clean up beside a transaction that is still at work.
        await asyncio.wait([future])
        if not future.cancelled():
            future.exception()  # looked at, so that asyncio does not report it as forgotten
        raise


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


def _sqlite_revision(path: Path) -> str | None:
    """Read the revision of an existing file, whose lock must be free, with a connection that makes nothing."""
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
        pool_size=MAX_CONNECTIONS,
        max_overflow=0,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(dbapi_connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own transaction handling would start transactions late and commit before DDL.
    dbapi_connection.isolation_level = None
    _switch_to_wal(dbapi_connection)
    for pragma in ("synchronous=FULL", "foreign_keys=ON"):
        dbapi_connection.execute(f"PRAGMA {pragma}").close()


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    # SQLite itself does not wait for this lock, which several processes want when they open a new file at once.
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
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
    # A transaction that reads first and writes later cannot wait for the lock: it must take it at the start.
    read_only = conn.get_execution_options().get("danqing_read_only", False)
    conn.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _postgresql_engine(url: URL) -> Engine:
    try:
        return create_engine(
            url.set(drivername=POSTGRESQL_DRIVER, query={}),
            pool_size=MAX_CONNECTIONS,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args=_postgresql_connect_args(url),
        )
    except ModuleNotFoundError as error:
        raise SettingError(
            "DANQING_DATABASE_URL: PostgreSQL needs one more library: pip install 'danqing[postgresql]'"
        ) from error


def _postgresql_connect_args(url: URL) -> dict[str, Any]:
    """Translate what libpq writes into a URL's query for this driver, which reads none of it."""
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
            # libpq's meaning of the word: encrypted, whoever it is.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        connect_args["ssl_context"] = context
    if query:
        raise SettingError(f"DANQING_DATABASE_URL: unknown options: {', '.join(sorted(query))}")
    return connect_args
