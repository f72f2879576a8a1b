"""The database: killed, full, shared by processes or plainly misnamed, it keeps what it answered."""

import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, Text, event, insert, select
from sqlalchemy.exc import InternalError

import warm_python
from factories import TESTER, open_database
from patience import PATIENCE_S
from penstock.core import failpoints
from penstock.core.errors import InvalidInputError, PenstockError, StorageFullError
from penstock.storage.database import Database
from penstock.storage.sqlite import LOG_LIMIT_BYTES
from penstock.storage.transaction import Transaction
from storage import crash_writer

TESTS = Path(__file__).parent.parent
tables = MetaData()  # of its own: the shared one is compared with the migrations
pages = Table("pages", tables, Column("number", Integer, primary_key=True), Column("text", Text))
standings = Table(
    "standings",
    tables,
    Column("name", String(20), primary_key=True),
    Column("step", Integer, nullable=False),
    Column("place", Integer, nullable=False),
)


def open_with_tables(folder: Path) -> Database:
    db = open_database(folder)
    db.write(lambda tx: tables.create_all(tx.connection))
    return db


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    opened = open_with_tables(tmp_path)
    yield opened
    opened.close()


def start_writer(path: Path, *arguments: str, failpoint: str = "") -> warm_python.Process:
    environment = os.environ | {failpoints.VARIABLE: failpoint, "PYTHONPATH": str(TESTS)}
    program = [TESTS / "storage/crash_writer.py", path, *arguments]
    return warm_python.Process(program, env=environment, stdout=subprocess.PIPE)


def create(path: Path) -> None:
    db = crash_writer.open_crash_database(str(path))
    db.write(crash_writer.start_counter)
    db.close()


def check_nothing_lost(path: Path, acknowledged: set[str]) -> None:
    """Every answered write is there and whole; no other is there by half."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = connection.execute("SELECT name, COUNT(*) FROM halves GROUP BY name").fetchall()
        (total,) = connection.execute("SELECT value FROM totals").fetchone()
    assert {number for _, number in rows} <= {2}
    kept = {name for name, _ in rows}
    assert acknowledged <= kept
    assert total == len(kept)


@pytest.mark.parametrize("place", ["before_commit", "after_commit"])
def test_a_kill_around_a_commit_loses_no_acknowledged_write(tmp_path: Path, place: str) -> None:
    path = tmp_path / "penstock.db"
    create(path)
    acknowledged: set[str] = set()
    for number in range(3):
        with start_writer(path, str(number), failpoint=f"storage.writer.{place}=kill@{3 + 7 * number}") as child:
            told = child.communicate(timeout=PATIENCE_S)[0].split()
        assert child.returncode == -signal.SIGKILL
        acknowledged.update(told)
        check_nothing_lost(path, acknowledged)
    assert acknowledged


def test_a_kill_at_any_moment_loses_no_acknowledged_write(tmp_path: Path) -> None:
    chance = random.Random(7)
    path = tmp_path / "penstock.db"
    create(path)
    acknowledged: set[str] = set()
    for number in range(4):
        with start_writer(path, str(number)) as child:
            assert child.stdout is not None
            acknowledged.add(child.stdout.readline().strip())  # it writes; now any moment will do
            time.sleep(chance.uniform(0, 0.3))
            child.kill()
            *whole, torn = child.stdout.read().split("\n")
        acknowledged.update(whole)
        assert not torn
        check_nothing_lost(path, acknowledged)
    assert len(acknowledged) > 10


def test_several_processes_writing_to_one_file_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "penstock.db"
    create(path)
    children = [start_writer(path, str(number), "20") for number in range(3)]
    told = [child.communicate(timeout=PATIENCE_S)[0].split() for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    names = {name for names in told for name in names}
    assert len(names) == 3 * 20 * crash_writer.THREADS
    check_nothing_lost(path, names)


def test_several_who_open_a_new_file_at_once_all_get_in(tmp_path: Path) -> None:
    refusals: list[Exception] = []
    start = threading.Barrier(8)

    def open_and_write(number: int) -> None:
        start.wait()
        try:
            db = crash_writer.open_crash_database(str(tmp_path / "new.db"))
            db.write(lambda tx: tx.execute(insert(crash_writer.halves).values(name=str(number), half=1)).rowcount)
            db.close()
        except Exception as error:
            refusals.append(error)

    threads = [threading.Thread(target=open_and_write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not refusals


def fill(tx: Transaction, number: int, size: int = 50_000) -> None:
    tx.execute(insert(pages).values(number=number, text="x" * size))


@pytest.mark.sqlite
def test_a_file_that_may_not_grow_refuses_clearly_and_goes_on_when_it_may(db: Database) -> None:
    db.write(fill, 0)
    limit = db.read(lambda tx: tx.connection.exec_driver_sql("PRAGMA page_count").scalar_one()) + 3

    @event.listens_for(db.engine, "before_cursor_execute")
    def keep_small(connection: Connection, cursor: sqlite3.Cursor, *_: object) -> None:
        cursor.connection.execute(f"PRAGMA max_page_count = {limit}")

    before = db.submit(lambda tx: fill(tx, 1, size=10))
    full = [db.submit(lambda tx, n=n: fill(tx, n)) for n in (2, 3)]
    assert before.result(PATIENCE_S) is None
    for future in full:
        with pytest.raises(StorageFullError, match="no room left"):
            future.result(PATIENCE_S)
    assert db.read(lambda tx: tx.execute(select(pages.c.number)).scalars().all()) == [0, 1]
    limit = 10_000
    db.write(fill, 4)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.sqlite
def test_a_disk_that_is_really_full_damages_nothing(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        db = open_with_tables(disk)
        written: list[int] = []
        with pytest.raises(StorageFullError):
            for number in range(1000):
                db.write(fill, number)
                written.append(number)
        assert written
        assert db.read(lambda tx: tx.execute(select(pages.c.number)).scalars().all()) == written
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        db.write(fill, 5000)
        assert db.read(lambda tx: tx.connection.exec_driver_sql("PRAGMA integrity_check").scalar_one()) == "ok"
        db.close()


def test_a_reader_sees_one_moment_while_others_write(db: Database) -> None:
    db.write(fill, 1, size=1)
    with db.snapshot() as tx:
        assert len(tx.execute(select(pages)).all()) == 1
        db.write(fill, 2, size=1)
        assert len(tx.execute(select(pages)).all()) == 1
    assert len(db.read(lambda tx: tx.execute(select(pages)).all())) == 2


def test_what_is_written_on_a_snapshot_is_refused_or_thrown_away(db: Database) -> None:
    is_sqlite = db.engine.dialect.name == "sqlite"
    with nullcontext() if is_sqlite else pytest.raises(InternalError, match="read-only"), db.snapshot() as tx:
        fill(tx, 1, size=1)
    assert db.read(lambda tx: tx.execute(select(pages)).all()) == []


@pytest.mark.sqlite
def test_commits_are_synced_before_they_are_answered(db: Database) -> None:
    with db.snapshot() as tx:
        settings = {name: tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in PRAGMAS}
    assert settings == PRAGMAS


PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


@pytest.mark.parametrize("url", ["", "penstock.db", "mongodb://x/y", "sqlite://user@host/x"])
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(InvalidInputError, match="names no database"):
        Database(url, actor=TESTER)


def test_a_folder_that_is_not_there_is_told_as_an_error_of_our_own(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/nowhere/penstock.db", actor=TESTER)
    with pytest.raises(PenstockError, match="unable to open database file"):
        db.write(fill, 1)
    db.close()


def test_an_upsert_replaces_what_it_names_and_keeps_the_rest(db: Database) -> None:
    replace = db.upsert(standings, keys=["name"], update=["place"])
    db.write(lambda tx: tx.execute(replace, [{"name": "a", "step": 1, "place": 1}]))
    db.write(lambda tx: tx.execute(replace, [{"name": "a", "step": 2, "place": 2}]))
    assert all_standings(db) == [("a", 1, 2)]


def test_an_upsert_that_updates_nothing_keeps_the_first_row(db: Database) -> None:
    keep = db.upsert(standings, keys=["name"], update=[])
    for place in (1, 2):
        row = {"name": "a", "step": place, "place": place}
        db.write(lambda tx, row=row: tx.execute(keep, [row]).rowcount)
    assert all_standings(db) == [("a", 1, 1)]


def test_only_a_newer_row_replaces_an_older_one_whatever_the_order_of_arrival(db: Database) -> None:
    newest = db.upsert(standings, keys=["name"], update=["step", "place"], newest_by=["step", "place"])
    for step, place in ((2, 5), (1, 9), (2, 4), (2, 6)):
        row = {"name": "a", "step": step, "place": place}
        db.write(lambda tx, row=row: tx.execute(newest, [row]).rowcount)
    assert all_standings(db) == [("a", 2, 6)]


def all_standings(db: Database) -> list[tuple[str, int, int]]:
    return [tuple(row) for row in db.read(lambda tx: tx.execute(select(standings)).all())]


@pytest.mark.sqlite
def test_the_log_is_cut_when_the_reader_who_made_it_grow_has_ended(tmp_path: Path) -> None:
    def write_mb(tx: Transaction) -> None:
        tx.execute(insert(pages).values(text="x" * (1 << 20)))

    db = open_with_tables(tmp_path)
    log = tmp_path / "penstock.db-wal"
    with db.snapshot() as reading:
        reading.execute(select(pages)).all()
        while log.stat().st_size <= LOG_LIMIT_BYTES:
            db.write(write_mb)
    db.write(write_mb)  # all of the log goes into the database
    db.write(write_mb)  # and is begun anew
    assert log.stat().st_size <= LOG_LIMIT_BYTES
