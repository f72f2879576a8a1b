"""Makes what tests need: a database in a folder, records with sensible values."""

from pathlib import Path

from penstock.core.clock import Clock
from penstock.core.identity import Actor, Role
from penstock.storage.columns import metadata
from penstock.storage.database import Database

TESTER = Actor("tester", Role.ADMIN)
OPENED: list[Database] = []  # by the tests that run; `conftest.py` closes what a test leaves open


def open_database(folder: Path, clock: Clock | None = None) -> Database:
    """An SQLite database with the tables of every noun the test imported."""
    db = Database(f"sqlite:///{folder / 'penstock.db'}", clock=clock, actor=TESTER)
    with db.engine.begin() as connection:
        metadata.create_all(connection)
    OPENED.append(db)
    return db
