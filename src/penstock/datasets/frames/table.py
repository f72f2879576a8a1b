"""A table: the rows of several files, one after the other, read a batch at a time."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import polars as pl
from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.datasets.frames.formats import Content, explained, plain_texts, scan_file

BATCH_ROWS = 131_072  # at most
_WINDOW_COLUMNS = 32  # up to here rows of a Parquet file are asked for window by window; beyond, whole row groups


class TableFile(Struct, frozen=True):
    """One file of a table."""

    path: str  # as reports call it
    rows: pl.LazyFrame  # with the columns and types of the table
    count: int | None = None  # how many, where that is known without reading them


class Batch(Struct, frozen=True):
    """Rows that follow each other in one file."""

    frame: pl.DataFrame
    file: str
    first: int  # its first row within the file, from 0
    start: int  # its first row within the table, from 0


class Gatherer(Protocol):
    """What looks at every row once."""

    @property
    def columns(self) -> Sequence[str]:
        """The columns it looks at; all of them exist."""

    def add(self, batch: Batch) -> None:
        """Take in the next rows; the batch has its columns and perhaps more."""


class Table(Struct, frozen=True):
    """The rows of files, one after the other."""

    files: tuple[TableFile, ...]
    schema: dict[str, pl.DataType]

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.schema)

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[Batch]:
        """The rows in order, a batch at a time; a file without rows gives none.

        Args:
            columns: only these; None for all.

        Raises:
            InvalidInputError: a file cannot be read as what its name says.
        """
        start = 0
        for file in self.files:
            first = 0
            for frame in _read(file, columns):
                yield Batch(frame, file.path, first, start)
                first += frame.height
                start += frame.height

    def lazy(self) -> pl.LazyFrame:
        """All rows as one lazy frame."""
        return pl.concat([file.rows for file in self.files])

    def collect(self) -> pl.DataFrame:
        """All rows in memory.

        Raises:
            InvalidInputError: a file cannot be read as what its name says.
        """
        frames = []
        for file in self.files:
            with explained(file.path):
                frames.append(file.rows.collect())
        return pl.concat(frames, rechunk=True)


def open_files(files: Iterable[tuple[str, Content]], *, keep_categories: bool = False) -> Table:
    """Files as one table; they must have the same columns, and types that fit together.

    Args:
        files: at least one: its path as reports call it, and where it lies.
        keep_categories: leave texts that a file stores as categories so, which takes a fraction of the time.

    Raises:
        InvalidInputError: a file cannot be read as what its name says, or its columns are others.
    """
    scanned = [(path, scan_file(path, content, keep_categories=keep_categories)) for path, content in files]
    schemas = [(path, _types_of(path, frame)) for path, frame in scanned]
    schema = _join_schemas(schemas)
    ready = [TableFile(path, _conform(frame, schema), _count(path, frame)) for path, frame in scanned]
    return Table(tuple(ready), schema)


def table_of(frame: pl.DataFrame, path: str) -> Table:
    """Rows in memory as a table of one file."""
    rows = plain_texts(frame.lazy())
    return Table((TableFile(path, rows),), dict(rows.collect_schema()))


def sweep(table: Table, gatherers: Sequence[Gatherer]) -> dict[str, int]:
    """Show every row to every gatherer in one pass, reading only the columns they look at.

    Returns:
        How many rows each file has, by its path.

    Raises:
        InvalidInputError: a file cannot be read as what its name says.
    """
    wanted = {column for gatherer in gatherers for column in gatherer.columns}
    columns = [column for column in table.columns if column in wanted] or table.columns[:1]
    rows = dict.fromkeys((file.path for file in table.files), 0)
    for batch in table.batches(columns):
        rows[batch.file] += batch.frame.height
        for gatherer in gatherers:
            gatherer.add(batch)
    return rows


def _read(file: TableFile, columns: Sequence[str] | None) -> Iterator[pl.DataFrame]:
    rows = file.rows if columns is None else file.rows.select(columns)
    width = len(rows.collect_schema())
    with explained(file.path):
        if file.count is not None and width <= _WINDOW_COLUMNS:
            # The reader decodes ten row groups ahead; windows keep a narrow table of any size below 300 MB.
            for start in range(0, file.count, BATCH_ROWS):
                yield rows.slice(start, BATCH_ROWS).collect(engine="streaming")
            return
        for batch in rows.collect_batches(maintain_order=True):
            yield from batch.iter_slices(BATCH_ROWS) if batch.height else ()


def _count(path: str, frame: pl.LazyFrame) -> int | None:
    """The rows of a Parquet file, which says so in its last bytes."""
    if not path.lower().endswith(".parquet"):
        return None
    with explained(path):
        return int(frame.select(pl.len()).collect().item())


def _types_of(path: str, frame: pl.LazyFrame) -> dict[str, pl.DataType]:
    """The types of the columns; where there are no rows a text says no more than that nothing is known."""
    types = dict(frame.collect_schema())
    with explained(path):
        is_empty = all(dtype == pl.String for dtype in types.values()) and not frame.head(1).collect().height
    return dict.fromkeys(types, pl.Null()) if is_empty else types


def _join_schemas(schemas: Sequence[tuple[str, dict[str, pl.DataType]]]) -> dict[str, pl.DataType]:
    first_path, first = schemas[0]
    for path, schema in schemas[1:]:
        if set(schema) != set(first):
            odd = sorted(set(schema) ^ set(first))
            raise InvalidInputError(f"{path} and {first_path} differ in the columns {', '.join(odd)}")
    empty = [pl.DataFrame(schema=schema).select(list(first)) for _, schema in schemas]
    try:
        return dict(pl.concat(empty, how="vertical_relaxed").schema)
    except pl.exceptions.PolarsError as error:
        raise InvalidInputError(f"the files of this source do not fit together: {error}") from error


def _conform(frame: pl.LazyFrame, schema: dict[str, pl.DataType]) -> pl.LazyFrame:
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())
