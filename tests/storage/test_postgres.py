"""PostgreSQL: several servers on one database lose nothing, whatever line breaks and whoever stands still."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, make_url, select, text, update

import postgres_cluster
from factories import TESTER
from patience import PATIENCE_S
from penstock.core.errors import (
    ConflictError,
    InvalidInputError,
    OutcomeUnknownError,
    PenstockError,
    StorageFullError,
    UnavailableError,
)
from penstock.core.ids import Ref
from penstock.governance.checkpoints import CheckpointLog
from penstock.governance.ledger import Ledger
from penstock.governance.service import GovernanceService
from penstock.storage import postgres
from penstock.storage.database import Database
from penstock.storage.idempotency import answer_once
from penstock.storage.leases import acquire_lease
from penstock.storage.transaction import Transaction
from storage.cut_line import CutLine, Moment

pytestmark = pytest.mark.postgres
tables = MetaData()  # of its own: the shared one is compared with the migrations
counters = Table(
    "counters", tables, Column("name", String(20), primary_key=True), Column("value", Integer, nullable=False)
)


@pytest.fixture
def url() -> Iterator[str]:
    databases = postgres_cluster.databases()
    made = databases.create()
    yield made
    databases.drop(made)


@pytest.fixture
def open_db(url: str) -> Iterator[Callable[..., Database]]:
    """Opens the database as one more server would."""
    opened: list[Database] = []

    def open_database(at: str = url) -> Database:
        opened.append(Database(at, actor=TESTER))
        return opened[-1]

    db = open_database()
    db.write(lambda tx: tables.create_all(tx.connection))
    db.write(lambda tx: tx.execute(insert(counters).values(name="c", value=0)).rowcount)
    yield open_database
    for each in opened:
        each.close()


@pytest.fixture
def db(open_db: Callable[..., Database]) -> Database:
    return open_db()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """The path of a Unix socket has room for some hundred characters."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-line-"))
    yield folder
    shutil.rmtree(folder)


def count_up(tx: Transaction) -> int:
    """Read, then write: wrong as soon as anybody comes in between."""
    value: int = tx.execute(select(counters.c.value).where(counters.c.name == "c")).scalar_one() + 1
    tx.execute(update(counters).where(counters.c.name == "c").values(value=value))
    return value


def value(tx: Transaction) -> int:
    return tx.execute(select(counters.c.value).where(counters.c.name == "c")).scalar_one()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_commit_whose_answer_is_lost_counts_once(
    open_db: Callable[..., Database], url: str, short_folder: Path, moment: Moment
) -> None:
    with CutLine(make_url(url), short_folder) as line:
        db = open_db(line.url)
        assert db.write(count_up) == 1
        line.arm(moment)
        assert db.write(count_up) == 2
        assert db.write(count_up) == 3


def test_many_callers_whose_commit_is_not_answered_count_once_each(
    open_db: Callable[..., Database], url: str, short_folder: Path
) -> None:
    with CutLine(make_url(url), short_folder) as line:
        db = open_db(line.url)
        for moment in ("after", "before"):
            line.arm(moment)
            answers = [db.submit(count_up) for _ in range(40)]
            assert len({answer.result(PATIENCE_S) for answer in answers}) == 40
        assert db.read(value) == 80


def test_an_outcome_that_nobody_can_tell_is_called_unknown_and_a_repeated_key_settles_it(
    open_db: Callable[..., Database], url: str, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PATIENCE_S", 0.5)

    def call(tx: Transaction) -> int:
        return answer_once(tx, key="k", scope="s", arguments={}, work=count_up, returns=int)

    with CutLine(make_url(url), short_folder) as line:
        db = open_db(line.url)
        db.write(value)
        line.arm("for good")
        with pytest.raises(OutcomeUnknownError, match="may or may not have happened") as refusal:
            db.write(call)
        assert (refusal.value.code, refusal.value.http_status) == ("OUTCOME_UNKNOWN", 503)
        with pytest.raises(UnavailableError, match="cannot be reached"):
            db.write(call)
        line.mend()
        assert db.write(call) == 1
        assert db.read(value) == 1


def test_servers_that_write_at_once_lose_no_update(open_db: Callable[..., Database]) -> None:
    servers = [open_db() for _ in range(3)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: servers[n % 3].write(count_up), range(300)))
    assert sorted(answers) == list(range(1, 301))


def test_one_key_used_through_two_servers_at_once_counts_once(open_db: Callable[..., Database]) -> None:
    servers = [open_db(), open_db()]
    for number in range(20):

        def call(tx: Transaction, key: str = f"k{number}") -> int:
            return answer_once(tx, key=key, scope="s", arguments={}, work=count_up, returns=int)

        answers = [server.submit(call) for server in servers for _ in range(3)]
        assert {answer.result(PATIENCE_S) for answer in answers} == {number + 1}


def test_one_lease_wanted_through_two_servers_at_once_has_one_holder(open_db: Callable[..., Database]) -> None:
    servers = {"a": open_db(), "b": open_db()}
    for number in range(20):
        asked = [
            server.submit(lambda tx, n=number, who=who: acquire_lease(tx, f"l{n}", who, timedelta(seconds=30)))
            for who, server in servers.items()
        ]
        assert sum(answer.result(PATIENCE_S) is not None for answer in asked) == 1


def test_the_audit_chain_of_several_servers_is_one_and_each_verifies_it(
    open_db: Callable[..., Database], tmp_path: Path
) -> None:
    services = []
    for name in ("a", "b"):
        db, checkpoints = open_db(), CheckpointLog(tmp_path / name)
        Ledger(db, checkpoints)
        services.append(GovernanceService(db, checkpoints))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: services[n % 2].db.write(_change, str(n)), range(120)))
    for service in services:
        report = service.verify_audit()
        assert report.is_whole, report.problems
        assert report.events == 120
        assert report.checkpoints > 0
    services[0].db.write(lambda tx: tx.execute(text("UPDATE audit_events SET actor = 'mallory' WHERE number = 60")))
    assert any("event 60" in problem for problem in services[1].verify_audit().problems)


def _change(tx: Transaction, name: str) -> None:
    tx.record("test.change", Ref("thing", name), name=name)


def test_a_server_that_stands_still_in_a_write_loses_its_turn(
    open_db: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres._SETTINGS, "idle_in_transaction_session_timeout", "1s")
    frozen, other = open_db(), open_db()
    entered, go_on = threading.Event(), threading.Event()

    def stand_still(tx: Transaction) -> None:
        entered.set()
        go_on.wait(PATIENCE_S)
        if not told:
            count_up(tx)

    told: list[int] = []
    late = frozen.submit(stand_still)
    entered.wait(PATIENCE_S)
    told.append(other.write(count_up))  # comes to its turn although nobody let go
    go_on.set()
    late.result(PATIENCE_S)  # what stood still is done again from the beginning
    assert other.read(value) == 1


def test_a_statement_that_takes_too_long_is_given_up(
    open_db: Callable[..., Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres._SETTINGS, "statement_timeout", "200ms")
    db = open_db()
    for call in (db.read, db.write):
        with pytest.raises(UnavailableError, match="took longer than"):
            call(lambda tx: tx.execute(text("SELECT pg_sleep(5)")))
    assert db.write(count_up) == 1


def test_a_database_that_takes_no_writes_says_so_and_is_still_read(url: str, open_db: Callable[..., Database]) -> None:
    name = make_url(url).database
    open_db().write(lambda tx: tx.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on")))
    db = open_db()
    with pytest.raises(UnavailableError, match="takes no writes just now"):
        db.write(count_up)
    assert db.read(value) == 0


def test_a_value_the_database_cannot_keep_is_refused_by_name_of_what_is_wrong(db: Database) -> None:
    for bad in ("a\0b", "x" * 21):
        with pytest.raises(InvalidInputError, match="cannot keep one of the values"):
            db.write(lambda tx, bad=bad: tx.execute(insert(counters).values(name=bad, value=1)))


def test_what_is_read_cannot_be_changed(db: Database) -> None:
    with pytest.raises(Exception, match="read-only"):
        db.read(count_up)


def test_a_reader_keeps_seeing_the_moment_it_began(db: Database) -> None:
    with db.snapshot() as tx:
        assert value(tx) == 0
        db.write(count_up)
        assert value(tx) == 0
    assert db.read(value) == 1


def test_commits_are_on_disk_whatever_the_database_was_told(url: str, open_db: Callable[..., Database]) -> None:
    name = make_url(url).database
    open_db().write(lambda tx: tx.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off")))
    db = open_db()
    assert db.write(lambda tx: tx.execute(text("SHOW synchronous_commit")).scalar_one()) == "on"


def test_the_schemes_people_write_all_lead_to_the_same_driver(url: str, open_db: Callable[..., Database]) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        at = make_url(url).set(drivername=scheme).render_as_string(hide_password=False)
        assert open_db(at).read(value) == 0


def test_a_server_nobody_answers_for_is_told_without_saying_where(tmp_path: Path) -> None:
    db = Database(f"postgresql://someone:secret@/x?host={tmp_path}", actor=TESTER)
    for call in (db.read, db.write):
        with pytest.raises(UnavailableError) as refusal:
            call(value)
        assert str(refusal.value) == "the database cannot be reached just now"
    db.close()


@pytest.mark.slow
def test_a_restart_of_the_database_costs_no_more_than_the_writes_it_met() -> None:
    postgres_cluster.databases()  # skips where there is none
    cluster = postgres_cluster.Cluster()
    databases = postgres_cluster.Databases(cluster.url)
    db = Database(databases.create(), actor=TESTER)
    db.write(lambda tx: tables.create_all(tx.connection))
    db.write(lambda tx: tx.execute(insert(counters).values(name="c", value=0)).rowcount)
    try:
        for how in (signal.SIGINT, signal.SIGQUIT):
            before = db.write(count_up)
            cluster.stop(how)
            for call in (db.read, db.write):
                with pytest.raises(UnavailableError, match="cannot be reached"):
                    call(value)
            cluster.start()
            assert db.read(value) == before
            assert db.write(count_up) == before + 1
        cluster.stop()
        cluster.start()
        assert db.write(count_up) == before + 2  # the connection that was kept is dead, and nobody needs to know
        refused = _count_while_restarting(db, cluster)
        print(f"{refused} writes were refused during a restart")
    finally:
        db.close()
        cluster.remove()


def _count_while_restarting(db: Database, cluster: postgres_cluster.Cluster) -> int:
    """Write without end while the server crashes: what was answered is there, what was refused is not."""
    first, answers, refused, stop = db.read(value), [0], [0], threading.Event()

    def write() -> None:
        while not stop.is_set():
            try:
                db.write(count_up)
                answers[0] += 1
            except OutcomeUnknownError:
                raise
            except UnavailableError:
                refused[0] += 1
                time.sleep(0.05)

    thread = threading.Thread(target=write)
    thread.start()
    for _ in range(3):
        time.sleep(0.3)
        cluster.stop(signal.SIGQUIT)
        cluster.start()
    time.sleep(0.3)
    stop.set()
    thread.join()
    assert answers[0] > 20
    assert db.read(value) == first + answers[0]
    return refused[0]


@contextmanager
def small_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="penstock-disk-"))
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    shutil.chown(folder, "postgres", "postgres")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


@pytest.mark.skipif(bool(postgres_cluster.GIVEN), reason="the disk of a server that was given is somewhere else")
def test_a_disk_that_is_really_full_is_told_and_damages_nothing(db: Database) -> None:
    with small_disk() as disk:
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"CREATE TABLESPACE small LOCATION '{disk}'")
        db.write(lambda tx: tx.execute(text("CREATE TABLE pages (number int, content text) TABLESPACE small")))
        db.write(lambda tx: tx.execute(text("ALTER TABLE pages ALTER content SET STORAGE EXTERNAL")))
        fill = text("INSERT INTO pages SELECT n, repeat(md5(n::text), 100) FROM generate_series(1, :rows) AS n")
        db.write(lambda tx: tx.execute(fill, {"rows": 1}))
        with pytest.raises(StorageFullError, match="free some space"):
            db.write(lambda tx: tx.execute(fill, {"rows": 200_000}))
        assert db.read(lambda tx: tx.execute(text("SELECT count(*) FROM pages")).scalar_one()) == 1
        assert db.write(count_up) == 1
        db.write(lambda tx: tx.execute(text("DROP TABLE pages")))
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("DROP TABLESPACE small")


def test_an_error_of_ones_own_passes_through(db: Database) -> None:
    def refuse(tx: Transaction) -> None:
        raise ConflictError("not like this")

    for call in (db.read, db.write):
        with pytest.raises(PenstockError, match="not like this"):
            call(refuse)
