"""Acknowledged, synced writes a second of the group-committing writer, beside bare sqlite3 on the same disk.

    python bench/writer.py [--seconds 2] [--json]

Each caller inserts one row and waits for its answer before the next. "bare" is the standard library's sqlite3 with
the same settings (WAL, synchronous=FULL), a connection per thread, one commit per row. Measured in turns, in one run.
"""

import argparse
import json
import os
import platform
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import BigInteger, Column, Float, Integer, MetaData, String, Table, insert

from penstock.core.identity import Actor, Role
from penstock.storage.database import Database
from penstock.storage.records import Prepared
from penstock.storage.transaction import Transaction

tables = MetaData()
points = Table(
    "points",
    tables,
    Column("id", Integer, primary_key=True),
    Column("run", String(26), nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("value", Float, nullable=False),
)
ROW = {"run": "01j0000000000000000000000", "step": 1, "value": 0.5}
STATEMENT = insert(points)
THREADS = (1, 8, 64)


class PointKind:
    """Rows of the table as records: a group is one `executemany`."""

    def __init__(self, db: Database) -> None:
        self._add = Prepared(db.engine.dialect, STATEMENT, tuple(ROW))

    def apply(self, group: Sequence[tuple[Transaction, tuple[object, ...]]]) -> list[None]:
        self._add.many(group[0][0].connection, [row for _, row in group])
        return [None] * len(group)

    def forget(self) -> None:
        pass


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=2.0, help="for each figure")
    options.add_argument("--json", action="store_true", help="one line of JSON instead of a table")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="penstock-bench-", dir=".") as folder:
        figures = [measure(Path(folder), threads, given.seconds) for threads in THREADS]
    if given.json:
        print(json.dumps({"bench": "writer", "cpus": os.cpu_count(), "figures": figures}))
        return
    print(
        f"acknowledged writes a second, {os.cpu_count()} cores, {platform.machine()}, sqlite {sqlite3.sqlite_version}"
    )
    print(f"{'callers':>8} {'bare sqlite3':>14} {'verbs':>10} {'records':>10}")
    for figure in figures:
        print("{threads:>8} {bare:>14,.0f} {verbs:>10,.0f} {records:>10,.0f}".format(**figure))


def measure(folder: Path, threads: int, seconds: float) -> dict[str, float]:
    """The three ways with so many callers."""
    bare = measure_bare(folder / f"bare-{threads}.db", threads, seconds)
    db = Database(f"sqlite:///{folder}/penstock-{threads}.db", actor=Actor("bench", Role.ADMIN))
    db.write(lambda tx: tables.create_all(tx.connection))
    verbs = count(lambda: db.write(lambda tx: tx.execute(STATEMENT, ROW).rowcount), threads, seconds)
    kind = PointKind(db)
    records = count(lambda: db.add(kind, tuple(ROW.values())).result(), threads, seconds)
    db.close()
    return {"threads": threads, "bare": bare, "verbs": verbs, "records": records}


def measure_bare(path: Path, threads: int, seconds: float) -> float:
    """One commit per row, as a plain program would."""
    local = threading.local()

    def insert_one() -> None:
        if not hasattr(local, "connection"):
            local.connection = sqlite3.connect(path, timeout=60, isolation_level=None)
            local.connection.execute("PRAGMA synchronous = FULL")
        local.connection.execute("INSERT INTO points (run, step, value) VALUES (?, ?, ?)", tuple(ROW.values()))

    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE points (id INTEGER PRIMARY KEY, run TEXT, step INTEGER, value REAL)")
    connection.close()
    return count(insert_one, threads, seconds)


def count(call: Callable[[], object], threads: int, seconds: float) -> float:
    """Calls a second of all threads together, each waiting for its answer."""
    done = [0] * threads
    end = threading.Event()

    def repeat(number: int) -> None:
        while not end.is_set():
            call()
            done[number] += 1

    workers = [threading.Thread(target=repeat, args=(number,)) for number in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    time.sleep(seconds)
    end.set()
    for worker in workers:
        worker.join()
    return sum(done) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
