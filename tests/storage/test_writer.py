"""The writer: groups commit once, one bad caller leaves the others alone, and an answer means it is on disk."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, event, func, insert, select

from factories import TESTER, open_database
from penstock.core import failpoints
from penstock.core.errors import ConflictError, PenstockError, StorageFullError, UnavailableError
from penstock.core.ids import Ref
from penstock.storage.columns import Json
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction

tables = MetaData()  # of its own: the shared one is compared with the migrations
notes = Table(
    "notes",
    tables,
    Column("name", String(50), primary_key=True),
    Column("value", Integer, nullable=False),
    Column("detail", Json),
)


def open_with_tables(folder: Path) -> Database:
    db = open_database(folder)
    db.write(lambda tx: tables.create_all(tx.connection))
    return db


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with_notes = open_with_tables(tmp_path)
    yield with_notes
    failpoints.arm("")
    with_notes.close()


class Gate:
    """Holds the writer in one write, so that what is queued meanwhile is the next group."""

    def __init__(self, db: Database) -> None:
        self._entered, self._open = threading.Event(), threading.Event()
        db.submit(self._wait)
        assert self._entered.wait(10)

    def _wait(self, tx: Transaction) -> None:
        self._entered.set()
        assert self._open.wait(10)

    def open(self) -> None:
        self._open.set()


def add(tx: Transaction, name: str, value: int = 0) -> str:
    tx.execute(insert(notes).values(name=name, value=value))
    return name


def add_then_fail(tx: Transaction, name: str) -> None:
    add(tx, name)
    raise ConflictError("changed my mind")


def count(tx: Transaction) -> int:
    return tx.execute(select(func.count()).select_from(notes)).scalar_one()


def names_on_disk(db: Database) -> set[str]:
    """What another program sees."""
    other = sqlite3.connect(db.url.removeprefix("sqlite:///"))
    try:
        return {name for (name,) in other.execute("SELECT name FROM notes")}
    finally:
        other.close()


def test_all_who_waited_share_one_commit(db: Database) -> None:
    groups: list[int] = []
    db.on_group(lambda connection, now, transactions: groups.append(len(transactions)))
    gate = Gate(db)
    waiting = [db.submit(lambda tx, n=n: add(tx, str(n))) for n in range(50)]
    gate.open()
    assert [future.result(10) for future in waiting] == [str(n) for n in range(50)]
    assert groups == [1, 50]


def test_one_bad_caller_leaves_the_others_alone(db: Database) -> None:
    gate = Gate(db)
    good = db.submit(lambda tx: add(tx, "good"))
    bad = db.submit(lambda tx: add_then_fail(tx, "bad"))
    also_good = db.submit(lambda tx: add(tx, "also good"))
    gate.open()
    assert (good.result(10), also_good.result(10)) == ("good", "also good")
    with pytest.raises(ConflictError, match="changed my mind"):
        bad.result(10)
    assert names_on_disk(db) == {"good", "also good"}


def test_a_caller_who_breaks_a_rule_of_the_database_fails_alone(db: Database) -> None:
    db.write(add, "taken")
    gate = Gate(db)
    twice = db.submit(lambda tx: add(tx, "taken"))
    good = db.submit(lambda tx: add(tx, "free"))
    gate.open()
    assert good.result(10) == "free"
    with pytest.raises(Exception, match="UNIQUE constraint"):
        twice.result(10)


def test_an_audit_entry_that_cannot_be_written_fails_its_caller_alone(db: Database) -> None:
    def refuse_sets(connection: Any, now: Any, transactions: Any) -> None:
        details = [entry.detail for tx in transactions for entry in tx.entries]
        if any(isinstance(value, set) for detail in details for value in detail.values()):
            raise TypeError("a set is no JSON")

    db.on_group(refuse_sets)
    gate = Gate(db)
    bad = db.submit(lambda tx: (add(tx, "bad"), tx.record("note.add", Ref("note", "bad"), tags={1})))
    good = db.submit(lambda tx: add(tx, "good"))
    gate.open()
    assert good.result(10) == "good"
    with pytest.raises(TypeError, match="no JSON"):
        bad.result(10)
    assert names_on_disk(db) == {"good"}


def test_an_entry_may_have_a_detail_of_any_name(db: Database) -> None:
    def act(tx: Transaction) -> dict[str, Any]:
        tx.record("note.add", Ref("note", "a"), action="x", subject="y", self="z")
        return tx.entries[0].detail

    assert db.write(act) == {"action": "x", "subject": "y", "self": "z"}


def test_a_failed_write_leaves_nothing_behind(db: Database) -> None:
    with pytest.raises(ConflictError):
        db.write(add_then_fail, "half")
    assert names_on_disk(db) == set()


def test_an_answer_comes_only_after_the_commit(db: Database) -> None:
    seen_before: list[set[str]] = []
    seen_at_answer: list[set[str]] = []
    db.on_group(lambda connection, now, transactions: seen_before.append(names_on_disk(db)))
    gate = Gate(db)
    future = db.submit(lambda tx: add(tx, "a"))
    future.add_done_callback(lambda _: seen_at_answer.append(names_on_disk(db)))
    gate.open()
    future.result(10)
    db.close()
    assert seen_before[-1] == set()
    assert seen_at_answer == [{"a"}]


def test_a_caller_who_gave_up_is_passed_over_and_the_others_are_answered(db: Database) -> None:
    gate = Gate(db)
    given_up = db.submit(lambda tx: add(tx, "given up"))
    patient = db.submit(lambda tx: add(tx, "patient"))
    assert given_up.cancel()
    gate.open()
    assert patient.result(10) == "patient"
    assert names_on_disk(db) == {"patient"}


def test_a_write_that_runs_can_no_longer_be_given_up(db: Database) -> None:
    cancelled: list[bool] = []
    futures: list[Future[str]] = []

    def work(tx: Transaction) -> str:
        cancelled.append(futures[0].cancel())
        return add(tx, "a")

    gate = Gate(db)
    futures.append(db.submit(work))
    gate.open()
    assert futures[0].result(10) == "a"
    assert cancelled == [False]


def test_what_fails_after_the_commit_makes_no_write_run_twice(db: Database) -> None:
    runs: list[str] = []

    def checkpoint() -> None:
        raise OSError("no checkpoint today")

    db.on_group(lambda connection, now, transactions: checkpoint)
    gate = Gate(db)
    waiting = [db.submit(lambda tx, n=n: (runs.append(str(n)), add(tx, str(n)))[1]) for n in range(3)]
    gate.open()
    assert [future.result(10) for future in waiting] == ["0", "1", "2"]
    assert runs == ["0", "1", "2"]


def test_rows_for_one_statement_go_in_one_executemany(db: Database) -> None:
    statement = db.upsert(notes, keys=["name"], update=["value"])
    calls: list[int] = []

    @event.listens_for(db.engine, "before_cursor_execute")
    def note_call(conn: Any, cursor: Any, text: str, parameters: Any, context: Any, executemany: bool) -> None:
        if "INTO notes" in text:
            calls.append(len(parameters) if executemany else 1)

    gate = Gate(db)
    waiting = [
        db.append(statement, [{"name": f"{n}-{i}", "value": i, "detail": None} for i in range(3)]) for n in range(20)
    ]
    gate.open()
    assert [future.result(10) for future in waiting] == [3] * 20
    assert calls == [60]
    assert db.read(count) == 60


def test_bad_rows_fail_their_own_caller_only(db: Database) -> None:
    statement = db.upsert(notes, keys=["name"], update=["value"])
    gate = Gate(db)
    good = db.append(statement, [{"name": "good", "value": 1, "detail": {"a": 1}}])
    bad = db.append(statement, [{"name": "bad", "value": None, "detail": None}])
    verb = db.submit(lambda tx: add(tx, "verb"))
    gate.open()
    assert (good.result(10), verb.result(10)) == (1, "verb")
    with pytest.raises(Exception, match="NOT NULL"):
        bad.result(10)
    assert names_on_disk(db) == {"good", "verb"}


def test_rows_for_several_tables_are_kept_together_or_not_at_all(db: Database) -> None:
    fine = db.upsert(notes, keys=["name"], update=["value"])
    failing = insert(notes)
    db.write(add, "taken")
    future = db.append_all(
        [(fine, [{"name": "a", "value": 1, "detail": None}]), (failing, [{"name": "taken", "value": 2}])]
    )
    with pytest.raises(Exception, match="UNIQUE"):
        future.result(10)
    assert names_on_disk(db) == {"taken"}


def test_no_rows_are_no_work(db: Database) -> None:
    assert db.append(insert(notes), []).result(10) == 0


def test_a_write_inside_a_write_is_refused_instead_of_waiting_for_ever(db: Database) -> None:
    with pytest.raises(RuntimeError, match="join the running transaction"):
        db.write(lambda tx: db.write(add, "inner"))


def test_many_threads_lose_nothing(db: Database) -> None:
    def write_some(number: int) -> None:
        for i in range(25):
            db.write(add, f"{number}-{i}")

    threads = [threading.Thread(target=write_some, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert db.read(count) == 16 * 25


def test_closing_finishes_what_is_queued_and_refuses_what_comes_later(tmp_path: Path) -> None:
    db = open_with_tables(tmp_path)
    gate = Gate(db)
    waiting = [db.submit(lambda tx, n=n: add(tx, str(n))) for n in range(5)]
    gate.open()
    db.close()
    assert [future.result(0) for future in waiting] == ["0", "1", "2", "3", "4"]
    with pytest.raises(UnavailableError, match="closed"):
        db.write(add, "late")


def test_the_moment_and_the_actor_belong_to_the_transaction(db: Database) -> None:
    assert db.write(lambda tx: tx.actor) == TESTER
    assert db.write(lambda tx: tx.now is tx.now)


def test_a_full_disk_is_told_and_writes_resume_when_there_is_room(db: Database) -> None:
    db.write(add, "before")
    failpoints.arm("storage.writer.before_commit=enospc")
    for name in ("first", "second"):
        with pytest.raises(StorageFullError, match="free some space") as refusal:
            db.write(add, name)
        assert refusal.value.http_status == 507
    assert db.read(count) == 1
    failpoints.arm("")
    db.write(add, "after")
    assert names_on_disk(db) == {"before", "after"}


def test_a_whole_group_meets_a_full_disk_and_every_caller_is_told(db: Database) -> None:
    gate = Gate(db)
    waiting = [db.submit(lambda tx, n=n: add(tx, str(n))) for n in range(5)]
    failpoints.arm("storage.writer.before_commit=enospc@2+")  # the first pass is the gate's own
    gate.open()
    for future in waiting:
        with pytest.raises(StorageFullError):
            future.result(10)
    assert names_on_disk(db) == set()


def test_a_commit_that_fails_once_is_tried_again_job_by_job(db: Database) -> None:
    gate = Gate(db)
    waiting = [db.submit(lambda tx, n=n: add(tx, str(n))) for n in range(3)]
    failpoints.arm("storage.writer.before_commit=eio@2")
    gate.open()
    assert [future.result(10) for future in waiting] == ["0", "1", "2"]


def test_a_failing_disk_is_an_error_of_our_own(db: Database) -> None:
    failpoints.arm("storage.writer.before_commit=eio")
    with pytest.raises(UnavailableError, match="cannot write just now") as refusal:
        db.write(add, "a")
    assert isinstance(refusal.value, PenstockError)
    assert isinstance(refusal.value.__cause__, OSError)
