"""MLflow's database, SQLite or PostgreSQL, with the tables and columns that it happens to have; nothing is written."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, MetaData, Select, Table, create_engine, func, inspect, literal, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError

from penstock.core.errors import InvalidInputError, UnavailableError

_NEEDED = {"experiments", "runs", "metrics", "params", "tags"}
_WORKSPACE, _DEFAULT = "workspace", "default"
_CHUNK = 500  # values in one query


class Tables:
    """What is in the database. On PostgreSQL all queries see one moment of it; on SQLite each sees its own, as a long
    read would keep MLflow from writing.

    Args:
        url: as SQLAlchemy writes it.

    Attributes:
        label: the URL without its password.
        folder: where the file of the database is; None where it is none of this machine.
    """

    def __init__(self, url: str) -> None:
        parsed = _parse(url)
        self.label = parsed.render_as_string(hide_password=True)
        is_file = parsed.get_backend_name() == "sqlite"
        self.folder = Path(parsed.database or "").absolute().parent if is_file else None
        self._connection = _connect(parsed, self.label)
        try:
            self._held = _reflect(self._connection, self.label)
        except BaseException:
            self.close()
            raise

    def __contains__(self, table: str) -> bool:
        return table in self._held

    def columns(self, table: str) -> dict[str, "Column[Any]"]:
        """The columns of a table by their names."""
        return dict(self._held[table].c)

    def select(self, table: str, *names: str) -> Select[Any]:
        """A query for rows of a table; of columns that are not there, None is read."""
        held = self._held[table]
        if not names:
            return select(held)
        return select(*(held.c[name] if name in held.c else literal(None).label(name) for name in names))

    def rows(self, query: Select[Any]) -> Iterator[dict[str, Any]]:
        """The rows of a query."""
        try:
            for row in self._connection.execute(query).mappings():
                yield dict(row)
        except DatabaseError as error:
            raise UnavailableError(
                f"{self.label} cannot be read: {error.orig}", hint="import again, which goes on from here"
            ) from error

    def rows_of(self, table: str, column: str, values: Sequence[Any]) -> Iterator[dict[str, Any]]:
        """The rows whose column has one of these values; none where there is no such table."""
        for start in range(0, len(values) if table in self._held else 0, _CHUNK):
            held = self._held[table]
            yield from self.rows(select(held).where(held.c[column].in_(values[start : start + _CHUNK])))

    def arrays(self, query: Select[Any]) -> list[tuple[Any, ...]]:
        """The rows of a query as tuples, for many of them."""
        try:
            return [tuple(row) for row in self._connection.execute(query)]
        except DatabaseError as error:
            raise UnavailableError(f"{self.label} cannot be read: {error.orig}") from error

    def is_ours(self, row: dict[str, Any]) -> bool:
        """Whether a row is of the workspace that there is without workspaces."""
        return row.get(_WORKSPACE, _DEFAULT) in (_DEFAULT, None, "")

    def count(self, table: str) -> int:
        """How many rows a table has; 0 where there is no such table."""
        if table not in self._held:
            return 0
        found: int = self._connection.execute(select(func.count()).select_from(self._held[table])).scalar_one()
        return found

    def count_elsewhere(self, table: str) -> int:
        """How many rows belong to other workspaces."""
        if table not in self._held or _WORKSPACE not in self._held[table].c:
            return 0
        held = self._held[table]
        query = select(func.count()).select_from(held).where(held.c[_WORKSPACE] != _DEFAULT)
        found: int = self._connection.execute(query).scalar_one()
        return found

    def texts_of(
        self, table: str, owner: str, values: Sequence[Any], names: tuple[str, str] = ("key", "value")
    ) -> dict[Any, dict[str, str]]:
        """Keys and texts by whom they belong to."""
        texts: dict[Any, dict[str, str]] = {}
        for row in self.rows_of(table, owner, values):
            texts.setdefault(row[owner], {})[row[names[0]]] = row[names[1]] or ""
        return texts

    def close(self) -> None:
        """End the connection."""
        self._connection.close()
        self._connection.engine.dispose()


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise InvalidInputError(
            "this is no database URL", hint="write sqlite:///mlflow.db or postgresql://user:password@host/name"
        ) from error


def _connect(parsed: URL, label: str) -> Connection:
    name = parsed.get_backend_name()
    if name == "sqlite":
        path = Path(parsed.database or "").absolute()
        if not path.is_file():
            raise InvalidInputError(f"there is no database {path}", hint="name the file, or sqlite:///PATH")
        parsed = parsed.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"})
    elif name == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    else:
        raise InvalidInputError(
            f"databases of the kind {name!r} cannot be read directly", hint="import from the URL of the MLflow server"
        )
    try:
        engine = create_engine(parsed)
        if name == "postgresql":
            engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        return engine.connect()
    except (ImportError, NoSuchModuleError) as error:
        raise InvalidInputError(
            "PostgreSQL cannot be read without its driver", hint="pip install 'penstock[postgres]'"
        ) from error
    except DatabaseError as error:
        raise UnavailableError(f"the database {label} cannot be opened: {error.orig}") from error


def _reflect(connection: Connection, label: str) -> dict[str, Table]:
    """The tables that are there, with whatever columns they have."""
    try:
        present = set(inspect(connection).get_table_names())
        missing = sorted(_NEEDED - present)
        if missing:
            raise InvalidInputError(
                f"{label} is not a database of MLflow: it has no table {missing[0]!r}",
                hint="name the database that --backend-store-uri of the MLflow server names",
            )
        tables = MetaData()
        tables.reflect(connection, resolve_fks=False)
    except DatabaseError as error:
        raise InvalidInputError(f"{label} is not a database of MLflow: {error.orig}") from error
    return dict(tables.tables)
