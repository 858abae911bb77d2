"""The database: transactions, moments, migrations."""

import asyncio
import os
import shutil
import sqlite3
import ssl
import stat
import sys
import threading
import traceback
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, event, insert, make_url, select, text
from sqlalchemy.exc import DatabaseError

import danqing.accounts.tables
import danqing.jobs.tables
from danqing.database import Database, UtcDateTime, _postgresql_connect_args, metadata
from danqing.errors import DatabaseProblem, Overloaded, SettingError


def test_the_migrations_make_exactly_the_tables_that_the_code_describes(empty_database_url):
    database = Database(empty_database_url)
    database.migrate()
    with database.read() as conn:
        differences = compare_metadata(MigrationContext.configure(conn, opts={"compare_type": True}), metadata)
    database.close()
    assert differences == []


def test_nobody_but_the_own_user_can_read_a_database_file_new_or_from_before(tmp_path):
    former_mask = os.umask(0o022)
    try:
        (tmp_path / "old.db").touch(0o644)
        for name in ("new.db", "old.db"):
            database = Database(f"sqlite:///{tmp_path / name}")
            database.migrate()
            with database.write() as conn:
                _add_account(conn, "a")
                modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob(f"{name}*")}
            database.close()
            assert modes == dict.fromkeys((name, f"{name}-wal", f"{name}-shm"), 0o600)
    finally:
        os.umask(former_mask)


def test_migrating_twice_changes_nothing(database):
    version = text("SELECT version_num FROM alembic_version")
    with database.read() as conn:
        before = conn.execute(version).scalar_one()
    database.migrate()
    with database.read() as conn:
        assert conn.execute(version).scalars().all() == [before]


def test_several_processes_may_migrate_at_once(empty_database_url):
    databases = [Database(empty_database_url) for _ in range(3)]
    failures = []

    def migrate(database):
        try:
            database.migrate()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=migrate, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.close()
    assert failures == []


def test_a_new_file_that_others_hold_is_waited_for(tmp_path):
    path = tmp_path / "new.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE t (a)")
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    database = Database(f"sqlite:///{path}")
    with database.read() as conn:
        assert conn.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    release.join()
    database.close()
    other.close()


def test_an_exception_rolls_back_the_whole_transaction(database):
    def work_that_fails(conn):
        _add_account(conn, "a")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), database.write() as conn:
        work_that_fails(conn)
    with database.read() as conn:
        assert conn.execute(select(danqing.accounts.tables.accounts.c.id)).all() == []


def test_foreign_keys_are_enforced(database):
    with pytest.raises(DatabaseError), database.write() as conn:
        conn.execute(
            insert(danqing.accounts.tables.key_spending).values(
                api_key_id="nobody", day=datetime.now(UTC), spent_credits=1
            )
        )


@pytest.mark.parametrize("table", ["holds", "transfers", "settlements"])
@pytest.mark.parametrize("change", ["DELETE FROM {table}", "UPDATE {table} SET created_at = created_at"])
def test_rows_of_the_ledger_never_change(ledger_with_rows, table, change):
    with pytest.raises(DatabaseError, match=f"rows of {table} never change"), ledger_with_rows.write() as conn:
        conn.execute(text(change.format(table=table)))


def test_moments_come_back_in_utc_and_sort_by_time(database):
    table = Table("moments", MetaData(), Column("id", Integer, primary_key=True), Column("at", UtcDateTime))
    noon = datetime(2026, 11, 23, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as conn:
        table.create(conn)
        conn.execute(insert(table), [{"id": 1, "at": noon}, {"id": 2, "at": noon + timedelta(microseconds=1)}])
        moments = conn.execute(select(table.c.at).where(table.c.at > noon)).scalars().all()
        first = conn.execute(select(table.c.at).where(table.c.id == 1)).scalar_one()
        table.drop(conn)
    assert moments == [datetime(2026, 11, 23, 10, 0, 0, 6, tzinfo=UTC)]
    assert first.utcoffset() == timedelta(0)
    assert first == noon


async def test_a_cancelled_caller_learns_the_end_of_its_transaction_first(database):
    started, may_end = threading.Event(), threading.Event()

    def work(conn):
        _add_account(conn, "a")
        started.set()
        may_end.wait(10)

    task = asyncio.create_task(database.run_write(work))
    await asyncio.to_thread(started.wait, 10)
    task.cancel()
    await asyncio.sleep(0.05)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.run_read(lambda conn: conn.execute(text("SELECT id FROM accounts")).scalars().all()) == ["a"]


async def test_many_writers_at_once_lose_nothing(database):
    await database.run_write(lambda conn: _add_account(conn, "a"))

    def add_one(conn):
        conn.execute(text("UPDATE accounts SET available_credits = available_credits + 1"))

    await asyncio.gather(*(database.run_write(add_one) for _ in range(100)))
    total = await database.run_read(lambda conn: conn.execute(text("SELECT available_credits FROM accounts")).scalar())
    assert total == 100


async def test_a_database_without_room_is_overloaded_and_changes_nothing(migrated_sqlite_file, tmp_path):
    shutil.copy(migrated_sqlite_file, tmp_path / "danqing.db")
    database = Database(f"sqlite:///{tmp_path / 'danqing.db'}")
    # A limit below the present size stands for a disk that has no page left.
    event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 1"))
    with pytest.raises(Overloaded, match="has no room"):
        await database.run_write(lambda conn: _add_account(conn, "a", name="x" * 100_000))
    ids = await database.run_read(lambda conn: conn.execute(text("SELECT id FROM accounts")).scalars().all())
    database.close()
    assert ids == []


@pytest.mark.parametrize("url", ["sqlite:////nowhere/danqing.db", "postgresql://postgres@/danqing?host=/nowhere"])
async def test_a_database_that_cannot_be_reached_is_overloaded(url):
    database = Database(url)
    with pytest.raises(Overloaded, match="cannot be reached"):
        await database.run_read(lambda conn: conn.execute(text("SELECT 1")))
    database.close()


async def test_a_connection_that_the_server_ends_is_overloaded_and_the_next_one_works(empty_postgresql_url):
    database = Database(empty_postgresql_url)
    with pytest.raises(Overloaded):
        await database.run_read(lambda conn: conn.execute(text("SELECT pg_terminate_backend(pg_backend_pid())")))
    assert await database.run_read(lambda conn: conn.execute(text("SELECT 1")).scalar()) == 1
    database.close()


async def test_a_mistake_of_ours_is_not_taken_for_an_outage(database):
    with pytest.raises(DatabaseError):
        await database.run_read(lambda conn: conn.execute(text("SELECT nothing FROM nowhere")))


def test_no_error_shows_a_value_that_was_to_be_written(database):
    with pytest.raises(DatabaseError) as failure, database.write() as conn:
        _add_account(conn, "a", name="SEC" + "RET", available_credits=-1)
    told = "".join(traceback.format_exception(failure.value))
    assert "available_credits" in told
    assert "SECRET" not in told


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("sqlite://", "must name a file"),
        ("mysql://host/db", "sqlite:/// or postgresql://"),
        ("postgresql://u@host/db?sslmode=maybe", "disable or require or verify-full"),
        ("postgresql://u@host/db?pool=9", "unknown options: pool"),
        ("postgresql://host/db", "must name a user"),
        ("danqing.db", "cannot be read as a URL"),
        ("postgresql://u:p@host:same/db", "cannot be read as a URL"),
        ("postgresql://u:s@same@host/db", "in a password write @ as %40"),
        ("postgresql://u:s@me/same@host/db", "in a password write @ as %40"),
        ("sqlite:///~nobody.of.this.name/danqing.db", "there is no home folder"),
    ],
)
def test_a_url_that_cannot_be_served_is_refused_with_the_reason(url, reason):
    with pytest.raises(SettingError, match=reason) as refused:
        Database(url)
    assert str(refused.value).startswith("DANQING_DATABASE_URL: ")
    assert "same" not in str(refused.value)


@pytest.mark.parametrize(("ssl_mode", "verified"), [("require", ssl.CERT_NONE), ("verify-full", ssl.CERT_REQUIRED)])
def test_an_encrypted_connection_verifies_as_the_url_says(ssl_mode, verified):
    connect_args = _postgresql_connect_args(make_url(f"postgresql://host/db?sslmode={ssl_mode}"))
    assert connect_args["ssl_context"].verify_mode is verified


def test_without_the_driver_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pg8000", None)
    with pytest.raises(SettingError, match=r"pip install 'danqing\[postgresql\]'"):
        Database("postgresql://u@host/db")


@pytest.mark.parametrize(
    "name",
    [
        "a b",
        "ü丹",
        "100%",
        "a%20b",
        "a?b#c",
        "c:d",
        "[e]",
        "-f",
        "~g",
        "x" * 200,
        b"\xff".decode(errors="surrogateescape"),
    ],
)
def test_an_sqlite_file_may_have_any_path(tmp_path, name):
    path = tmp_path / name / "danqing.db"
    path.parent.mkdir()
    database = Database(path)
    database.check()
    database.migrate()
    database.check()
    database.close()
    assert path.is_file()


def test_sqlite_paths_in_urls_may_be_relative_or_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for url in ("sqlite:///here.db", "sqlite:///~/there.db"):
        database = Database(url)
        database.migrate()
        database.close()
    assert (tmp_path / "here.db").is_file()
    assert (tmp_path / "home" / "there.db").is_file()


def test_the_short_name_of_postgresql_works_too(empty_postgresql_url):
    database = Database(empty_postgresql_url.replace("postgresql://", "postgres://"))
    database.migrate()
    database.check()
    database.close()


def _garbage(path):
    path.write_bytes(b"not a database, but longer than a header of one hundred bytes" * 150)


def _damage(path):
    _migrate(path)
    content = bytearray(path.read_bytes())
    # The page of the schema itself, behind the file's header.
    content[100:2048] = bytes(1948)
    path.write_bytes(content)


def _migrate(path):
    database = Database(path)
    database.migrate()
    database.close()


def _make_newer(path):
    _migrate(path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_garbage, "is not an SQLite database; move it away, or restore a backup"),
        (_damage, "is damaged; restore a backup"),
        (lambda path: path.mkdir(), "is a folder; name the file in it"),
        (_make_newer, "was made by a newer version of Danqing: its schema is 9999, and this version knows up to 0"),
    ],
)
def test_an_sqlite_file_that_cannot_be_opened_is_one_sentence(tmp_path, spoil, said):
    path = tmp_path / "danqing.db"
    spoil(path)
    _assert_problem(path, f"the database {path} {said}")


def test_a_database_in_a_folder_that_is_missing_is_one_sentence(tmp_path):
    path = tmp_path / "missing" / "danqing.db"
    database = Database(path)
    with pytest.raises(DatabaseProblem, match="its folder does not exist"):
        database.migrate()
    database.check()  # The folder will be made before.
    database.close()


def test_a_path_that_sqlite_cannot_open_is_one_sentence(tmp_path):
    folder = tmp_path / ("x" * 200) / ("y" * 200) / ("z" * 200)
    folder.mkdir(parents=True)
    database = Database(folder / "danqing.db")
    with pytest.raises(DatabaseProblem, match="more than 512 bytes"):
        database.migrate()
    database.close()


def test_a_file_that_another_program_locks_is_one_sentence(tmp_path, monkeypatch):
    path = tmp_path / "danqing.db"
    _migrate(path)
    monkeypatch.setattr("danqing.database.BUSY_TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr("danqing.database.STARTUP_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr("danqing.database.CHECK_TIMEOUT_SECONDS", 0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    _assert_problem(path, f"the database {path} is locked by another program")
    other.close()


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path):
    path = tmp_path / "danqing.db"
    _migrate(path)
    database = Database(path)
    # A user who may write everything, as in a container, meets no read-only file; SQLite can be told so instead.
    event.listen(database.engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON"))
    with (
        pytest.raises(DatabaseProblem, match="cannot be written; give this user write permission"),
        database.problems_explained(),
        database.write() as conn,
    ):
        _add_account(conn, "a")
    database.close()


def _postgresql_url(url, **changes):
    return make_url(url).set(**changes).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"database": "nowhere"}, "database nowhere .* has no such database; create it with createdb"),
        ({"username": "nobody"}, "refuses the user or the password"),
        ({"query": {"host": "/nowhere"}}, "cannot be reached: No such file or directory"),
        ({"query": {}, "host": "127.0.0.1", "port": 1}, "127.0.0.1:1.* cannot be reached: Connection refused"),
        ({"query": {}, "host": "no.such.host.invalid"}, "no address is known for this host"),
        ({"query": {}, "host": "a..b"}, "no address is known for this host"),
    ],
)
def test_a_postgresql_server_that_does_not_take_us_is_one_sentence(postgresql_url, changes, said):
    _assert_problem(_postgresql_url(postgresql_url, password="sesame", **changes), f"PostgreSQL server .*{said}")


def test_a_postgresql_database_of_a_newer_version_is_one_sentence(empty_postgresql_url):
    database = Database(empty_postgresql_url)
    database.migrate()
    with database.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    _assert_problem(empty_postgresql_url, "newer version of Danqing: its schema is 9999")


def test_a_database_with_tables_of_somebody_else_is_one_sentence(empty_database_url):
    database = Database(empty_database_url)
    with database.write() as conn:
        conn.execute(text("CREATE TABLE accounts (id integer)"))
    with pytest.raises(DatabaseProblem, match=r"cannot take Danqing's tables: .*accounts.* already exists"):
        database.migrate()
    database.close()


def test_checking_makes_no_file_and_changes_none(tmp_path):
    path = tmp_path / "danqing.db"
    Database(path).check()
    assert list(tmp_path.iterdir()) == []
    sqlite3.connect(path).execute("CREATE TABLE t (a)").connection.close()
    before = path.read_bytes()
    Database(path).check()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def _assert_problem(location, said):
    database = Database(location)
    for open_it in (database.check, database.migrate):
        with pytest.raises(DatabaseProblem, match=said) as problem:
            open_it()
        assert "\n" not in str(problem.value)
        assert "sesame" not in str(problem.value)
    database.close()


def _add_account(conn, account_id, *, name="A", available_credits=0):
    now = datetime.now(UTC)
    conn.execute(
        insert(danqing.accounts.tables.accounts).values(
            id=account_id,
            name=name,
            webhook_secret="s",
            available_credits=available_credits,
            held_credits=0,
            created_at=now,
            updated_at=now,
        )
    )


@pytest.fixture
def ledger_with_rows(database):
    from danqing.accounts import credits
    from danqing.accounts.bootstrap import bootstrap

    now = datetime.now(UTC)
    with database.write() as conn:
        first = bootstrap(conn, starting_credits=100, now=now)
        prefix = first.key.api_key.prefix
        credits.hold(conn, hold_id="h", account_id=first.account_id, api_key_id=prefix, amount_credits=10, now=now)
        credits.settle(conn, hold_id="h", captured_credits=4, now=now)
    return database
