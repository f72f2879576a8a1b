"""Write the schema that a new SQLite file gets: what the migrations make of an empty one.

python scripts/write_new_schema.py
"""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config

from penstock.storage import migrations
from penstock.storage.database import Database

_NOW = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"  # in microseconds, as all our times
_LONG_AGO = 10**15  # in microseconds: no other number in a new database is as large as a time


def main() -> None:
    """Migrate an empty file step by step, and write what it holds then."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        migrate_step_by_step(path)
        with closing(sqlite3.connect(path)) as connection:
            statements = [*_schema(connection), *_rows(connection)]
    (migrations.FOLDER / "new" / "sqlite.sql").write_text(migrations.SEPARATOR.join(statements) + "\n", "utf-8")


def migrate_step_by_step(path: Path, revision: str = "head") -> None:
    """Bring an empty file to a revision through all that came before it."""
    db = Database(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    with db.engine.connect().execution_options(penstock_begin="BEGIN IMMEDIATE") as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    db.close()


def _schema(connection: sqlite3.Connection) -> Iterator[str]:
    query = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'sqlite_sequence' ORDER BY type DESC, name"
    for (statement,) in connection.execute(query):
        yield "\n".join(line.rstrip() for line in statement.splitlines())


def _rows(connection: sqlite3.Connection) -> Iterator[str]:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'sqlite_sequence'")
    for (name,) in sorted(names):
        for row in connection.execute(f"SELECT * FROM {name}"):
            yield f"INSERT INTO {name} VALUES ({', '.join(map(_literal, row))})"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return _NOW if value > _LONG_AGO else str(value)
    return "'" + str(value).replace("'", "''") + "'"


if __name__ == "__main__":
    main()
