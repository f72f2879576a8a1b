"""Rows of an SQL query, written to Parquet as they come, in bounded memory."""

import os
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from penstock.core.errors import InvalidInputError, NotFoundError, UnavailableError
from penstock.datasets.types import Watermark

BATCH_ROWS = 50_000
_VARIABLE = "PENSTOCK_CONNECTION_{}"
_QUERY = re.compile(r"\s*(select|with|values)[\s(]", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_query(source: str) -> bool:
    """Whether a source is an SQL query rather than a path or URL."""
    return bool(_QUERY.match(source))


def resolve_connection(connection: str | None, root: Path) -> str:
    """The URL of the database that a section names.

    Args:
        connection: a URL, or a name whose URL is in `PENSTOCK_CONNECTION_NAME`.
        root: the folder that the file of a SQLite URL is found from.

    Raises:
        InvalidInputError: none is named.
        NotFoundError: the variable is not set.
    """
    if not connection:
        raise InvalidInputError(
            "a query needs a connection", hint='add connection = "NAME", and set PENSTOCK_CONNECTION_NAME to a URL'
        )
    if "://" not in connection:
        variable = _VARIABLE.format(re.sub(r"[^A-Za-z0-9]", "_", connection).upper())
        if variable not in os.environ:
            raise NotFoundError(f"the connection {connection!r} is not known", hint=f"set {variable} to its URL")
        connection = os.environ[variable]
    try:
        url = make_url(connection)
    except ArgumentError as error:
        raise InvalidInputError("the connection is no URL of a database", hint="such as sqlite:///shop.db") from error
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        path = root / url.database
        if not path.is_file():
            raise NotFoundError(f"there is no file {path}")
        url = url.set(database=f"file:{path}", query={**url.query, "mode": "ro", "uri": "true"})
    return url.render_as_string(hide_password=False)


def describe_connection(url: str) -> str:
    """A database as a version remembers it: without user, password and options."""
    parsed = make_url(url)
    place = f"{parsed.host or ''}{f':{parsed.port}' if parsed.port else ''}"
    return f"{parsed.get_backend_name()}://{place}/{(parsed.database or '').removeprefix('file:')}"


def write_query(
    url: str, query: str, target: Path, *, by: str | None = None, after: Watermark | None = None
) -> tuple[int, Watermark | None]:
    """Write the rows of a query to a Parquet file.

    Args:
        url: of the database.
        query: what is asked; it is only read, in a transaction that is rolled back.
        target: the file.
        by: a column of the answer in whose order rows are fetched; None for the order of the database.
        after: only rows in which that column is greater than this.

    Returns:
        How many rows there were, and the greatest value of the column.

    Raises:
        InvalidInputError: the database refuses the query, or an answer has no such column.
        UnavailableError: the database cannot be reached.
    """
    statement = _bound(query, by, after)
    parts: list[Path] = []
    try:
        engine = create_engine(url)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise InvalidInputError(f"the database cannot be opened: {error}", hint="install its driver") from error
    try:
        with _connected(engine) as connection:
            values = {} if after is None else {"penstock_after": after}
            answer = connection.execution_options(stream_results=True, yield_per=BATCH_ROWS).execute(
                text(statement), values
            )
            names = _check_names(list(answer.keys()), by)
            for number, batch in enumerate(answer.partitions(BATCH_ROWS)):
                parts.append(target.with_suffix(f".{number}"))
                _to_frame(batch, names).write_parquet(parts[-1])
            if not parts:
                parts.append(target.with_suffix(".0"))
                _to_frame([], names).write_parquet(parts[-1])
    except SQLAlchemyError as error:
        told = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise InvalidInputError(f"the database refuses the query: {told}", hint=f"the query is: {query}") from error
    finally:
        engine.dispose()
    joined = pl.concat([pl.scan_parquet(part) for part in parts], how="vertical_relaxed")
    joined.sink_parquet(target)
    for part in parts:
        part.unlink()
    found = pl.scan_parquet(target)
    rows = int(found.select(pl.len()).collect().item())
    greatest = found.select(pl.col(by).max()).collect().item() if by and rows else None
    return rows, after if greatest is None else _to_watermark(greatest)


def _bound(query: str, by: str | None, after: Watermark | None) -> str:
    bare = query.strip().rstrip(";").replace(":", r"\:")  # a colon of the query is one, and names no value
    if by is None:
        return bare
    if not _NAME.fullmatch(by):
        raise InvalidInputError(f"{by!r} cannot be the column of 'incremental'", hint="name a column of the answer")
    where = f' WHERE "{by}" > :penstock_after' if after is not None else ""
    return f'SELECT * FROM ({bare}) AS penstock_source{where} ORDER BY "{by}"'


def _connected(engine: Any) -> Connection:
    try:
        connection: Connection = engine.connect()
    except SQLAlchemyError as error:
        told = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise UnavailableError(f"the database cannot be reached: {told}") from error
    return connection


def _check_names(names: list[str], by: str | None) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"the query answers with two columns {twice[0]!r}", hint="give one another name, by AS")
    if by is not None and by not in names:
        raise InvalidInputError(f"the query has no column {by!r} to go on by", hint=f"it has {', '.join(names)}")
    return names


def _to_frame(rows: Sequence[Any], names: list[str]) -> pl.DataFrame:
    columns = zip(*rows, strict=True) if rows else iter([()] * len(names))
    return pl.DataFrame(list(_to_series(names, columns)))


def _to_series(names: list[str], columns: Iterator[Any]) -> Iterator[pl.Series]:
    for name, values in zip(names, columns, strict=True):
        plain = [bytes(value) if isinstance(value, memoryview) else value for value in values]
        try:
            yield pl.Series(name, plain, strict=True)
        except (TypeError, pl.exceptions.PolarsError):  # a database may mix kinds in one column
            yield pl.Series(name, plain, strict=False)


def _to_watermark(value: object) -> Watermark:
    if isinstance(value, (datetime, date)):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    return value if isinstance(value, (int, float, str)) else str(value)
