"""Makes what tests need: a database in a folder, records with sensible values."""

from pathlib import Path

import postgres_cluster
from penstock.core.clock import Clock
from penstock.core.identity import Actor, Role
from penstock.storage.columns import metadata
from penstock.storage.database import Database

TESTER = Actor("tester", Role.ADMIN)
OPENED: list[Database] = []  # by the tests that run; `conftest.py` closes what a test leaves open
ENGINES = ["sqlite"]  # the last is the one that tests run on; `conftest.py` adds what `--database` asks for
_ON_POSTGRES: dict[Path, str] = {}  # the database that stands for a folder, by that folder


def open_database(folder: Path, clock: Clock | None = None, url: str | None = None) -> Database:
    """A database with the tables of every noun the test imported; the same folder gives the same database."""
    db = Database(url or database_url(folder), clock=clock, actor=TESTER)
    with db.engine.begin() as connection:
        metadata.create_all(connection)
    OPENED.append(db)
    return db


def database_url(folder: Path) -> str:
    """Where the database of a folder is, on the engine that the tests run on."""
    if ENGINES[-1] == "sqlite":
        return f"sqlite:///{folder / 'penstock.db'}"
    if folder not in _ON_POSTGRES:
        _ON_POSTGRES[folder] = postgres_cluster.databases().create()
    return _ON_POSTGRES[folder]


def count_databases() -> tuple[int, int]:
    """How many are open, and how many PostgreSQL ones were made."""
    return len(OPENED), len(_ON_POSTGRES)


def close_databases(kept: tuple[int, int]) -> None:
    """Close and remove those that were not there when `count_databases` counted."""
    while len(OPENED) > kept[0]:
        OPENED.pop().close()
    while len(_ON_POSTGRES) > kept[1]:
        postgres_cluster.databases().drop(_ON_POSTGRES.popitem()[1])
