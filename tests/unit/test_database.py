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
from danqing.errors import Overloaded


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
        ("sqlite://", "must be a file"),
        ("mysql://host/db", "sqlite:/// or postgresql://"),
        ("postgresql://host/db?sslmode=maybe", "disable or require or verify-full"),
        ("postgresql://host/db?pool=9", "unknown options in the database URL: pool"),
    ],
)
def test_a_url_that_cannot_be_served_is_refused_with_the_reason(url, reason):
    with pytest.raises(ValueError, match=reason):
        Database(url)


@pytest.mark.parametrize(("ssl_mode", "verified"), [("require", ssl.CERT_NONE), ("verify-full", ssl.CERT_REQUIRED)])
def test_an_encrypted_connection_verifies_as_the_url_says(ssl_mode, verified):
    connect_args = _postgresql_connect_args(make_url(f"postgresql://host/db?sslmode={ssl_mode}"))
    assert connect_args["ssl_context"].verify_mode is verified


def test_without_the_driver_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pg8000", None)
    with pytest.raises(ValueError, match=r"pip install 'danqing\[postgresql\]'"):
        Database("postgresql://host/db")


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
