"""What callers get while the database is away: an answer within seconds, and nothing half done."""

import asyncio
import logging
import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from danqing import database as database_module
from danqing import database_lanes
from danqing.database import Database
from danqing.errors import Overloaded

COUNT = text("SELECT count(*) FROM notes")


def _add(conn):
    conn.execute(text("INSERT INTO notes VALUES (1)"))


def _fill(conn):
    conn.execute(text("PRAGMA max_page_count = 1"))
    conn.execute(text("CREATE TABLE big AS SELECT zeroblob(100000)"))


@pytest.fixture
def sqlite_database(tmp_path, monkeypatch):
    """A small file whose lock is waited for only shortly, and outages that are over at once."""
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(database_lanes, "SETTLE_SECONDS", 0)
    database = Database(f"sqlite:///{tmp_path / 'notes.db'}")
    with database.write() as conn:
        conn.execute(text("CREATE TABLE notes (id INTEGER)"))
    yield database
    database.close()


@pytest.fixture
def postgresql_database(empty_postgresql_url):
    """A small database on a server."""
    database = Database(empty_postgresql_url)
    with database.write() as conn:
        conn.execute(text("CREATE TABLE notes (id INTEGER)"))
    yield database
    database.close()


async def test_behind_a_lock_that_stays_all_callers_are_refused_together_and_it_is_logged_once(
    sqlite_database, tmp_path, caplog
):
    with closing(sqlite3.connect(tmp_path / "notes.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        # One after the other, they would take a minute.
        async with asyncio.timeout(30):
            outcomes = await asyncio.gather(
                *(sqlite_database.run_write(_add) for _ in range(300)), return_exceptions=True
            )
        assert {type(outcome) for outcome in outcomes} == {Overloaded}
        # Reading goes on.
        assert await sqlite_database.run_read(lambda conn: conn.execute(COUNT).scalar()) == 0
        other.execute("ROLLBACK")
    await sqlite_database.run_write(_add)
    assert await sqlite_database.run_read(lambda conn: conn.execute(COUNT).scalar()) == 1
    assert [(record.levelno, record.exc_info) for record in caplog.records] == [
        (logging.ERROR, None),
        (logging.WARNING, None),
    ]
    assert "locked" in caplog.records[0].getMessage()


async def test_a_full_disk_that_takes_a_small_transaction_now_and_then_is_one_outage(
    sqlite_database, monkeypatch, caplog
):
    monkeypatch.setattr(database_lanes, "SETTLE_SECONDS", 60)

    for _ in range(3):
        with pytest.raises(Overloaded):
            await sqlite_database.run_write(_fill)
        await sqlite_database.run_write(lambda conn: conn.execute(text("DELETE FROM notes")))
    assert ["disk is full" in record.getMessage() for record in caplog.records] == [True]


async def test_a_transaction_that_is_held_up_is_refused_and_never_committed(postgresql_database, monkeypatch):
    monkeypatch.setattr(database_lanes, "TRANSACTION_SECONDS", 0.3)
    monkeypatch.setattr(database_lanes, "OUTAGE_TRANSACTION_SECONDS", 0.1)
    monkeypatch.setattr(database_lanes, "LOOK_SECONDS", 0.05)
    with postgresql_database.engine.begin() as other:
        other.execute(text("LOCK TABLE notes IN EXCLUSIVE MODE"))
        outcomes = await asyncio.gather(
            *(postgresql_database.run_write(_add) for _ in range(20)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {Overloaded}
    # Waits until each transaction has found that its caller is gone.
    postgresql_database.close()
    with postgresql_database.read() as conn:
        assert conn.execute(COUNT).scalar() == 0


async def test_a_standby_that_cannot_write_is_away_and_no_fault_of_ours(postgresql_database, empty_postgresql_url):
    with postgresql_database.write() as conn:
        name = conn.execute(text("SELECT current_database()")).scalar()
        conn.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    standby = Database(empty_postgresql_url)
    with pytest.raises(Overloaded):
        await standby.run_write(_add)
    assert await standby.run_read(lambda conn: conn.execute(COUNT).scalar()) == 0
    standby.close()


async def test_a_standby_is_not_writable(empty_postgresql_url):
    database = Database(empty_postgresql_url)
    database.migrate()
    await database.check_writable()
    with database.write() as conn:
        name = conn.execute(text("SELECT current_database()")).scalar()
        conn.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    database.close()
    standby = Database(empty_postgresql_url)
    with pytest.raises(Overloaded):
        await standby.check_writable()
    standby.close()


async def test_a_database_is_not_writable_until_writes_have_worked_for_a_while(
    migrated_sqlite_file, tmp_path, monkeypatch
):
    database = Database(Path(shutil.copy(migrated_sqlite_file, tmp_path)))
    await database.check_writable()
    with pytest.raises(Overloaded):
        await database.run_write(_fill)
    with pytest.raises(Overloaded):
        await database.check_writable()
    monkeypatch.setattr(database_lanes, "SETTLE_SECONDS", 0)
    await database.check_writable()
    database.close()


async def test_a_caller_who_leaves_waits_for_the_end_of_the_transaction(sqlite_database):
    started, may_end = threading.Event(), threading.Event()

    def work(conn):
        started.set()
        may_end.wait(30)
        _add(conn)

    calling = asyncio.create_task(sqlite_database.run_write(work))
    await asyncio.to_thread(started.wait, 30)
    calling.cancel()
    await asyncio.sleep(0)
    assert not calling.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert await sqlite_database.run_read(lambda conn: conn.execute(COUNT).scalar()) == 1
