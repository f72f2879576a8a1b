"""Makes what tests need: a database in a folder, records with sensible values."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import inspect, make_url, text

import postgres_cluster
from penstock.core.clock import Clock
from penstock.core.identity import Actor, Role
from penstock.storage.columns import metadata
from penstock.storage.database import Database
from penstock.storage.transaction import Transaction

TESTER = Actor("tester", Role.ADMIN)
FILE = "penstock.db"
OPENED: list[Database] = []  # by the tests that run; `conftest.py` closes what a test leaves open
ENGINES = ["sqlite"]  # the last is the one that tests run on; `conftest.py` adds what `--database` asks for
_ON_POSTGRES: dict[Path, str] = {}  # the database that stands for a folder, by that folder


def open_database(folder: Path, clock: Clock | None = None, url: str | None = None) -> Database:
    """An empty database with the tables of every noun and of the test; the same folder gives the same database."""
    url = url or database_url(folder)
    file, tables = _empty_file()
    if url.startswith("sqlite:") and not (folder / FILE).exists():
        (folder / FILE).write_bytes(file)
    db = Database(url, clock=clock, actor=TESTER)
    of_the_test = [table for table in metadata.sorted_tables if table.name not in tables]
    if of_the_test:
        with db.engine.begin() as connection:
            metadata.create_all(connection, of_the_test)
    OPENED.append(db)
    return db


def _empty(tx: Transaction) -> None:
    """Remove what migrations put into tables: a test begins with nothing."""
    names = [name for name in inspect(tx.connection).get_table_names() if name != "alembic_version"]
    for name in names:
        tx.execute(text(f'DELETE FROM "{name}"'))


@cache
def _empty_file() -> tuple[bytes, frozenset[str]]:
    """An SQLite file with the whole schema and nothing in it, and the names of its tables."""
    with tempfile.TemporaryDirectory() as folder:
        db = Database(f"sqlite:///{folder}/{FILE}")
        db.migrate()
        db.write(_empty)
        tables = frozenset(inspect(db.engine).get_table_names())
        db.close()
        return (Path(folder) / FILE).read_bytes(), tables


def database_url(folder: Path) -> str:
    """Where the database of a folder is, on the engine that the tests run on."""
    if ENGINES[-1] == "sqlite":
        return f"sqlite:///{folder / FILE}"
    if folder not in _ON_POSTGRES:
        _ON_POSTGRES[folder] = postgres_cluster.databases().create()
    return _ON_POSTGRES[folder]


def copy_folder(source: Path, target: Path) -> None:
    """All that is in a folder, its database too, once more in another; nobody has that database open."""
    shutil.copytree(source, target, dirs_exist_ok=True)
    if source in _ON_POSTGRES:
        template = make_url(_ON_POSTGRES[source]).database or ""
        _ON_POSTGRES[target] = postgres_cluster.databases().create(template=template)


def count_databases() -> tuple[int, int]:
    """How many are open, and how many PostgreSQL ones were made."""
    return len(OPENED), len(_ON_POSTGRES)


def close_databases(kept: tuple[int, int]) -> None:
    """Close and remove those that were not there when `count_databases` counted."""
    while len(OPENED) > kept[0]:
        OPENED.pop().close()
    while len(_ON_POSTGRES) > kept[1]:
        postgres_cluster.databases().drop(_ON_POSTGRES.popitem()[1])
