"""Facts that many callers add: all that wait are written together, past the cost of a statement for each."""

import functools
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Dialect, Executable
from sqlalchemy.exc import DBAPIError

from penstock.storage.transaction import Transaction

T_contra = TypeVar("T_contra", contravariant=True)


class RecordKind(Protocol[T_contra]):
    """How the records of one kind are written. Used by the writer's thread alone."""

    def apply(self, group: Sequence[tuple[Transaction, T_contra]]) -> Sequence[Any]:
        """Write the records of a group, in their order, in the transaction that is open.

        Returns:
            For each record its result, or the exception it is refused with; a refused record has written nothing. An
            exception that is raised fails the whole group, whose records are then tried one by one.
        """
        ...

    def count_rows(self, record: T_contra) -> int:
        """About how many rows a record is, which is what it costs to write."""
        ...

    def forget(self) -> None:
        """A group was rolled back: whatever was remembered of it is wrong."""
        ...


class Prepared:
    """A statement compiled when it first runs, and run on the driver's own cursor with values as a database keeps them.

    Args:
        dialect: of the database it is meant for.
        statement: with a bind parameter for each name.
        names: the parameters in the order in which rows give them; cheapest in that of the statement, with repeats.
    """

    def __init__(self, dialect: Dialect, statement: Executable, names: Sequence[str]) -> None:
        self._dialect = dialect
        self._statement = statement
        self._names = list(names)
        self._run: Callable[..., Any] = sqlite3.Connection.executemany if dialect.name == "sqlite" else _run_many

    @functools.cached_property
    def _compiled(self) -> tuple[str, list[int] | None]:
        """Its text, and which value of a row stands for each parameter in it; None: they stand in its order."""
        style = "qmark" if self._dialect.name == "sqlite" else "format"
        positional = type(self._dialect)(paramstyle=style)  # type: ignore[call-arg]  # every dialect of a driver takes it
        compiled = self._statement.compile(dialect=positional, column_keys=self._names)  # type: ignore[attr-defined]  # all of ours can be
        order: Sequence[str] = compiled.positiontup
        places = None if list(order) == self._names else [self._names.index(name) for name in order]
        return str(compiled), places

    def many(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Run once for each row; returns how many rows of the table were changed in all."""
        if not rows:
            return 0
        text, places = self._compiled
        if places is not None:
            rows = [tuple([row[place] for place in places]) for row in rows]
        try:
            changed: int = self._run(driver_of(connection), text, rows).rowcount
        except connection.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy(error, text, connection.dialect) from error
        return changed


def _run_many(driver: Any, text: str, rows: Sequence[tuple[Any, ...]]) -> Any:
    """What SQLite's connections do by themselves."""
    cursor = driver.cursor()
    cursor.executemany(text, rows)
    return cursor


def fetch(connection: Connection, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Every row of a query in the driver's own form; `?` stands for a value."""
    text = text if connection.dialect.name == "sqlite" else text.replace("?", "%s")
    try:
        rows: list[tuple[Any, ...]] = driver_of(connection).execute(text, values).fetchall()
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy(error, text, connection.dialect) from error
    return rows


def each(connection: Connection, text: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """As `fetch`, row by row: a million of them need not be there at once."""
    text = text if connection.dialect.name == "sqlite" else text.replace("?", "%s")
    cursor = driver_of(connection).cursor()
    try:
        cursor.execute(text, values)
        yield from cursor
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy(error, text, connection.dialect) from error
    finally:
        cursor.close()


def driver_of(connection: Connection) -> Any:
    """The driver's own connection."""
    return connection.connection.dbapi_connection


def as_sqlalchemy(error: Exception, text: str, dialect: Dialect) -> DBAPIError:
    """An error of the driver as SQLAlchemy would have raised it."""
    return DBAPIError.instance(text, None, error, dialect.loaded_dbapi.Error, dialect=dialect)  # type: ignore[return-value]


@functools.cache
def marks(count: int) -> str:
    """`?, ?, ?` for an IN list."""
    return ", ".join("?" * count)
