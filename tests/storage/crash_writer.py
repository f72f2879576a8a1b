"""A process that writes without end and says what was acknowledged; tests kill it at any moment.

    crash_writer.py FILE ROUND

Each write adds two rows that belong together, and raises a counter by one. A line goes out for each answer.
"""

import itertools
import os
import sys
import threading

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update

from factories import TESTER
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction

THREADS = 6
tables = MetaData()
halves = Table(
    "halves", tables, Column("name", String(50), primary_key=True), Column("half", Integer, primary_key=True)
)
totals = Table("totals", tables, Column("name", String(50), primary_key=True), Column("value", Integer, nullable=False))


def open_crash_database(path: str) -> Database:
    """The database, with its tables and the counter at its present value."""
    db = Database(f"sqlite:///{path}", actor=TESTER)
    db.write(lambda tx: tables.create_all(tx.connection))
    return db


def start_counter(tx: Transaction) -> None:
    """Put the counter at zero."""
    tx.execute(insert(totals).values(name="writes", value=0))


def add_pair(tx: Transaction, name: str) -> None:
    """Two rows and one more on the counter, in this order."""
    tx.execute(insert(halves).values(name=name, half=1))
    value = tx.execute(select(totals.c.value)).scalar_one()
    tx.execute(update(totals).values(value=value + 1))
    tx.execute(insert(halves).values(name=name, half=2))


def write_and_tell(db: Database, prefix: str, stop: int | None) -> None:
    """Write one after the other; each answer is told with one system call, so that lines never mix."""
    for number in itertools.count() if stop is None else range(stop):
        name = f"{prefix}-{number}"
        db.write(add_pair, name)
        os.write(1, f"{name}\n".encode())


def main() -> None:
    """Write with several threads until killed, or `WRITES` times each."""
    path, prefix, *stop = sys.argv[1:]
    db = open_crash_database(path)
    limit = int(stop[0]) if stop else None
    threads = [threading.Thread(target=write_and_tell, args=(db, f"{prefix}-{n}", limit)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.close()


if __name__ == "__main__":
    main()
