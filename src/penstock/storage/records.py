"""Facts that many callers add: all that wait are written together, past the cost of a statement for each."""

from collections.abc import Iterator, Sequence
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
    """A statement compiled once, run on the driver's own cursor with values as the database keeps them.

    Args:
        dialect: of the database it is meant for.
        statement: with a bind parameter for each name.
        names: the parameters in the order in which rows give them.
    """

    def __init__(self, dialect: Dialect, statement: Executable, names: Sequence[str]) -> None:
        style = "qmark" if dialect.name == "sqlite" else "format"
        positional = type(dialect)(paramstyle=style)  # type: ignore[call-arg]  # every dialect of a driver takes it
        compiled = statement.compile(dialect=positional, column_keys=list(names))  # type: ignore[attr-defined]  # all of ours can be
        order: Sequence[str] = compiled.positiontup
        self.text = str(compiled)
        places = [list(names).index(name) for name in order]
        self._places = None if places == list(range(len(names))) else places

    def many(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
        """Run once for each row; returns how many rows of the table were changed in all."""
        if not rows:
            return 0
        if self._places is not None:
            places = self._places
            rows = [tuple([row[place] for place in places]) for row in rows]
        cursor = _driver_cursor(connection)
        try:
            cursor.executemany(self.text, rows)
            changed: int = cursor.rowcount
        except connection.dialect.loaded_dbapi.Error as error:
            raise as_sqlalchemy(error, self.text, connection.dialect) from error
        finally:
            cursor.close()
        return changed


def fetch(connection: Connection, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Every row of a query in the driver's own form; `?` stands for a value."""
    return list(each(connection, text, values))


def each(connection: Connection, text: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """As `fetch`, row by row: a million of them need not be there at once."""
    text = text if connection.dialect.name == "sqlite" else text.replace("?", "%s")
    cursor = _driver_cursor(connection)
    try:
        cursor.execute(text, values)
        yield from cursor
    except connection.dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy(error, text, connection.dialect) from error
    finally:
        cursor.close()


def _driver_cursor(connection: Connection) -> Any:
    return connection.connection.dbapi_connection.cursor()  # type: ignore[union-attr]  # an open one has it


def as_sqlalchemy(error: Exception, text: str, dialect: Dialect) -> DBAPIError:
    """An error of the driver as SQLAlchemy would have raised it."""
    return DBAPIError.instance(text, None, error, dialect.loaded_dbapi.Error, dialect=dialect)  # type: ignore[return-value]


def marks(count: int) -> str:
    """`?, ?, ?` for an IN list."""
    return ", ".join("?" * count)
