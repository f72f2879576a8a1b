"""The writer: groups commit once, one bad caller leaves the others alone, and an answer means it is on disk."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, insert, select
from sqlalchemy.exc import IntegrityError

from factories import TESTER, open_database
from patience import PATIENCE_S
from penstock.core import failpoints
from penstock.core.errors import ConflictError, PenstockError, StorageFullError, UnavailableError
from penstock.core.ids import Ref
from penstock.storage import writer
from penstock.storage.columns import Json
from penstock.storage.database import Database
from penstock.storage.records import Prepared
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
        assert self._entered.wait(PATIENCE_S)

    def _wait(self, tx: Transaction) -> None:
        self._entered.set()
        assert self._open.wait(PATIENCE_S)

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
    other = Database(db.url, actor=TESTER)
    try:
        return set(other.read(lambda tx: tx.execute(select(notes.c.name)).scalars().all()))
    finally:
        other.close()


def test_all_who_waited_share_one_commit(db: Database) -> None:
    groups: list[int] = []
    db.on_group(lambda connection, now, transactions: groups.append(len(transactions)))
    gate = Gate(db)
    waiting = [db.submit(lambda tx, n=n: add(tx, str(n))) for n in range(50)]
    gate.open()
    assert [future.result(PATIENCE_S) for future in waiting] == [str(n) for n in range(50)]
    assert groups == [1, 50]


def test_one_bad_caller_leaves_the_others_alone(db: Database) -> None:
    gate = Gate(db)
    good = db.submit(lambda tx: add(tx, "good"))
    bad = db.submit(lambda tx: add_then_fail(tx, "bad"))
    also_good = db.submit(lambda tx: add(tx, "also good"))
    gate.open()
    assert (good.result(PATIENCE_S), also_good.result(PATIENCE_S)) == ("good", "also good")
    with pytest.raises(ConflictError, match="changed my mind"):
        bad.result(PATIENCE_S)
    assert names_on_disk(db) == {"good", "also good"}


def test_a_caller_who_breaks_a_rule_of_the_database_fails_alone(db: Database) -> None:
    db.write(add, "taken")
    gate = Gate(db)
    twice = db.submit(lambda tx: add(tx, "taken"))
    good = db.submit(lambda tx: add(tx, "free"))
    gate.open()
    assert good.result(PATIENCE_S) == "free"
    with pytest.raises(Exception, match=r"UNIQUE constraint|duplicate key"):
        twice.result(PATIENCE_S)


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
    assert good.result(PATIENCE_S) == "good"
    with pytest.raises(TypeError, match="no JSON"):
        bad.result(PATIENCE_S)
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
    future.result(PATIENCE_S)
    db.close()
    assert seen_before[-1] == set()
    assert seen_at_answer == [{"a"}]


def test_a_caller_who_gave_up_is_passed_over_and_the_others_are_answered(db: Database) -> None:
    gate = Gate(db)
    given_up = db.submit(lambda tx: add(tx, "given up"))
    patient = db.submit(lambda tx: add(tx, "patient"))
    assert given_up.cancel()
    gate.open()
    assert patient.result(PATIENCE_S) == "patient"
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
    assert futures[0].result(PATIENCE_S) == "a"
    assert cancelled == [False]


def test_what_fails_after_the_commit_makes_no_write_run_twice(db: Database) -> None:
    runs: list[str] = []

    def checkpoint() -> None:
        raise OSError("no checkpoint today")

    db.on_group(lambda connection, now, transactions: checkpoint)
    gate = Gate(db)
    waiting = [db.submit(lambda tx, n=n: (runs.append(str(n)), add(tx, str(n)))[1]) for n in range(3)]
    gate.open()
    assert [future.result(PATIENCE_S) for future in waiting] == ["0", "1", "2"]
    assert runs == ["0", "1", "2"]


class NoteKind:
    """Notes as records: a name that is refused is refused alone, and what it knows is forgotten with a lost group."""

    def __init__(self, db: Database) -> None:
        self._add = Prepared(db.engine.dialect, insert(notes), ("name", "value"))
        self.groups: list[int] = []
        self.forgotten = 0

    def apply(self, group: Sequence[tuple[Transaction, str | None]]) -> list[str | Exception]:
        self.groups.append(len(group))
        names = [name for _, name in group]
        rows = [(name, 1) for name in names if name != "refused"]
        self._add.many(group[0][0].connection, rows)
        return [ConflictError("not this one") if name == "refused" else str(name) for name in names]

    def count_rows(self, record: str | None) -> int:
        return 1

    def forget(self) -> None:
        self.forgotten += 1


def test_the_records_of_a_kind_are_written_together(db: Database) -> None:
    kind = NoteKind(db)
    gate = Gate(db)
    waiting = [db.add(kind, f"{n}") for n in range(20)]
    gate.open()
    assert [future.result(PATIENCE_S) for future in waiting] == [str(n) for n in range(20)]
    assert kind.groups == [20]
    assert db.read(count) == 20


def test_a_record_that_is_refused_leaves_the_others_alone(db: Database) -> None:
    kind = NoteKind(db)
    gate = Gate(db)
    good, bad, verb = db.add(kind, "good"), db.add(kind, "refused"), db.submit(lambda tx: add(tx, "verb"))
    gate.open()
    assert (good.result(PATIENCE_S), verb.result(PATIENCE_S)) == ("good", "verb")
    with pytest.raises(ConflictError, match="not this one"):
        bad.result(PATIENCE_S)
    assert names_on_disk(db) == {"good", "verb"}
    assert kind.forgotten == 0


def test_a_record_the_database_refuses_fails_its_own_caller_only(db: Database) -> None:
    kind = NoteKind(db)
    gate = Gate(db)
    good, bad, verb = db.add(kind, "good"), db.add(kind, None), db.submit(lambda tx: add(tx, "verb"))
    gate.open()
    assert (good.result(PATIENCE_S), verb.result(PATIENCE_S)) == ("good", "verb")
    with pytest.raises(Exception, match=r"NOT NULL|not-null"):
        bad.result(PATIENCE_S)
    assert names_on_disk(db) == {"good", "verb"}
    assert kind.forgotten >= 1


def test_an_event_loop_awaits_records_and_verbs(db: Database) -> None:
    kind = NoteKind(db)

    async def write() -> list[str]:
        answers = [db.add_async(kind, str(n)) for n in range(5)]
        with pytest.raises(ConflictError):
            await db.add_async(kind, "refused")
        return [*await asyncio.gather(*answers), await db.submit_async(lambda tx: add(tx, "verb"))]

    assert asyncio.run(write()) == ["0", "1", "2", "3", "4", "verb"]
    assert names_on_disk(db) == {"0", "1", "2", "3", "4", "verb"}


def writer_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "penstock-writer"]


@pytest.mark.sqlite
def test_a_loop_writes_the_records_of_one_turn_itself(tmp_path: Path) -> None:
    open_with_tables(tmp_path).close()
    db = open_database(tmp_path)
    kind = NoteKind(db)

    async def write() -> list[str]:
        return await asyncio.gather(*(db.add_async(kind, str(n)) for n in range(7)))

    before = writer_threads()
    assert asyncio.run(write()) == [str(n) for n in range(7)]
    assert (kind.groups, writer_threads()) == ([7], before)
    assert len(names_on_disk(db)) == 7


@pytest.mark.sqlite
def test_a_loop_leaves_many_rows_to_the_thread(tmp_path: Path) -> None:
    open_with_tables(tmp_path).close()
    db = open_database(tmp_path)  # which has not written yet, so that nothing was slow lately

    class Heavy(NoteKind):
        def count_rows(self, record: str | None) -> int:
            return writer.LED_ROWS + 1

    loops: list[bool] = []
    db.on_group(lambda connection, now, transactions: loops.append(threading.current_thread() in writer_threads()))

    async def write() -> None:
        await db.add_async(NoteKind(db), "light")
        await db.add_async(Heavy(db), "heavy")

    asyncio.run(write())
    assert loops == [False, True]


@pytest.mark.sqlite
def test_a_loop_goes_on_while_another_process_writes(db: Database) -> None:
    other = sqlite3.connect(Path(str(db.engine.url.database)), isolation_level=None)
    kind = NoteKind(db)

    async def write() -> int:
        await db.add_async(kind, "first")
        other.execute("BEGIN IMMEDIATE")
        answer = db.add_async(kind, "second")
        turns = 0
        while turns < 20:
            await asyncio.sleep(0.01)
            turns += 1
        assert not answer.done()
        other.execute("COMMIT")
        assert await answer == "second"
        return turns

    assert asyncio.run(write()) == 20
    assert names_on_disk(db) == {"first", "second"}
    other.close()


def test_records_of_a_loop_that_break_a_rule_fail_alone(db: Database) -> None:
    kind = NoteKind(db)

    async def write() -> list[object]:
        answers = (db.add_async(kind, name) for name in ("a", "b", "a", "c"))
        return await asyncio.gather(*answers, return_exceptions=True)

    a, b, again, c = asyncio.run(write())
    assert (a, b, c) == ("a", "b", "c")
    assert isinstance(again, IntegrityError)
    assert names_on_disk(db) == {"a", "b", "c"}
    assert kind.forgotten


def test_a_loop_that_comes_too_late_is_told_so(db: Database) -> None:
    async def write() -> None:
        answer = db.add_async(NoteKind(db), "late")
        await asyncio.to_thread(db.close)
        with contextlib.suppress(UnavailableError):
            await answer
            assert names_on_disk(db) == {"late"}
        with pytest.raises(UnavailableError, match="closed"):
            await db.add_async(NoteKind(db), "later")

    asyncio.run(write())


def test_a_caller_on_a_loop_that_gave_up_is_passed_over(db: Database) -> None:
    async def give_up() -> None:
        gate = Gate(db)
        future = db.submit_async(lambda tx: add(tx, "late"))
        future.cancel()
        gate.open()

    asyncio.run(give_up())
    db.write(add, "next")
    assert names_on_disk(db) == {"next"}


def test_a_queue_without_end_is_refused(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "QUEUE_LIMIT", 3)
    gate = Gate(db)
    waiting = [db.submit(lambda tx, n=n: add(tx, str(n))) for n in range(3)]
    with pytest.raises(UnavailableError, match="wait already"):
        db.submit(lambda tx: add(tx, "one more"))
    gate.open()
    assert [future.result(PATIENCE_S) for future in waiting] == ["0", "1", "2"]


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
            future.result(PATIENCE_S)
    assert names_on_disk(db) == set()


def test_a_commit_that_fails_once_is_tried_again_job_by_job(db: Database) -> None:
    gate = Gate(db)
    waiting = [db.submit(lambda tx, n=n: add(tx, str(n))) for n in range(3)]
    failpoints.arm("storage.writer.before_commit=eio@2")
    gate.open()
    assert [future.result(PATIENCE_S) for future in waiting] == ["0", "1", "2"]


def test_a_failing_disk_is_an_error_of_our_own(db: Database) -> None:
    failpoints.arm("storage.writer.before_commit=eio")
    with pytest.raises(UnavailableError, match="cannot write just now") as refusal:
        db.write(add, "a")
    assert isinstance(refusal.value, PenstockError)
    assert isinstance(refusal.value.__cause__, OSError)


def test_a_full_disk_is_logged_once_until_there_is_room_again(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    for outage in range(2):
        db.write(add, f"before {outage}")
        failpoints.arm("storage.writer.before_commit=enospc")
        for _ in range(3):
            with pytest.raises(StorageFullError):
                db.write(add, "no room")
        failpoints.arm("")
    told = [record for record in caplog.records if record.message == "writes failed"]
    assert [record.exc_info for record in told] == [None, None]
    assert all("no room left" in record.reason for record in told)  # type: ignore[attr-defined]


def test_an_error_that_nobody_knows_is_logged_with_where_it_came_from(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    def finish(*_: Any) -> None:
        raise RuntimeError("a mistake")

    db.on_group(finish)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            db.write(lambda tx: None)
    told = [record for record in caplog.records if record.message == "writes failed"]
    assert len(told) == 2
    assert all(record.exc_info for record in told)
