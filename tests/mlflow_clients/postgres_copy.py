"""Copies a SQLite database to a throw-away PostgreSQL, as MLflow's environment has no driver for it.

A program of its own, run in penstock's environment: `postgres_copy.py FILE` prints the URLs of the copy and of an empty
database, and keeps both until its input ends.
"""

import json
import sys
from pathlib import Path

from sqlalchemy import MetaData, Table, create_engine, insert, select

sys.path.insert(0, str(Path(__file__).parents[1]))

from postgres_cluster import databases, remove_all


def copy(source: str, target: str) -> None:
    """Copy every table with its rows, without keys that refer to others."""
    there, here = create_engine(source), create_engine(target)
    tables = MetaData()
    tables.reflect(there, resolve_fks=False)
    with there.connect() as reading, here.begin() as writing:
        for table in tables.tables.values():
            same = Table(table.name, MetaData(), *(_copy_column(column) for column in table.columns))
            same.create(writing)
            rows = [dict(row) for row in reading.execute(select(table)).mappings()]
            if rows:
                writing.execute(insert(same), rows)
    there.dispose()
    here.dispose()


def _copy_column(column):  # type: ignore[no-untyped-def]
    plain = column._copy()
    plain.type, plain.server_default, plain.computed = plain.type.as_generic(), None, None
    plain.foreign_keys.clear()
    plain.constraints.clear()
    return plain


if __name__ == "__main__":
    copied, empty = databases().create(template="template0"), databases().create(template="template0")
    copy(f"sqlite:///{sys.argv[1]}", copied)
    print(json.dumps([copied, empty]), flush=True)
    sys.stdin.read()
    for url in (copied, empty):
        databases().drop(url)
    remove_all()
