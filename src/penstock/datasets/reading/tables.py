"""Stored files as tables: which can be read as rows, and how each kind is."""

import contextlib
import io
import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

import polars as pl

from penstock.core.errors import InvalidInputError
from penstock.datasets.frames.formats import TEXTS, scan_file
from penstock.datasets.reading.parquet import ParquetFile
from penstock.datasets.reading.rows import CsvFile, read_json_lines

Types = dict[str, pl.DataType]
Opener = Callable[[], BinaryIO]
_COPIED = 8 << 20  # bytes at a time


class TableFile(Protocol):
    """A file that can be read as rows, as often as one likes."""

    @abstractmethod
    def types(self) -> Types:
        """Its columns and their types; where only the values tell, all of them are read."""

    @abstractmethod
    def read(self, columns: Sequence[str], types: Types, needed: pl.Expr | None) -> Iterator[pl.DataFrame]:
        """Its rows, some at a time.

        Args:
            columns: which to read.
            types: that all columns shall have.
            needed: rows for which this does not hold may be left out; it is of the columns that are read.
        """


def open_table(path: str, opener: Opener, rows: int | None = None) -> TableFile:
    """A stored file as a table.

    Args:
        path: its name says what it is.
        opener: gives its content, anew each time.
        rows: how many it has, where that was recorded.

    Raises:
        InvalidInputError: it is no table.
    """
    kind = _find_kind(path)
    if kind is None:
        raise InvalidInputError(f"{path!r} is no table", hint=f"tables have names that end with {', '.join(_KINDS)}")
    return kind(opener, rows)


def is_table(path: str) -> bool:
    """Whether a file's name says that it is a table."""
    return _find_kind(path) is not None


def plain_type(dtype: pl.DataType) -> pl.DataType:
    """The type that readers are shown."""
    return pl.String() if isinstance(dtype, TEXTS) else dtype


class _Parquet:
    def __init__(self, opener: Opener, rows: int | None = None) -> None:
        self._opener = opener

    def types(self) -> Types:
        with self._opener() as stream:
            return ParquetFile(stream).schema()

    def read(self, columns: Sequence[str], types: Types, needed: pl.Expr | None) -> Iterator[pl.DataFrame]:
        first = [name for name in columns if needed is not None and name in needed.meta.root_names()]
        rest = [name for name in columns if name not in first]
        with self._opener() as stream:
            file = ParquetFile(stream)
            for group in file.groups:
                if not first or needed is None or not rest:
                    yield _conform(file.read(group, columns), types)
                    continue
                found = _conform(file.read(group, first), types)
                if found.select(needed.any()).item():  # else the other columns need not be read
                    more = _conform(file.read(group, rest), types)
                    yield pl.concat([found, more], how="horizontal").select(columns)


class _Texts:
    """A file whose values alone say what they are."""

    def __init__(
        self, read: Callable[[BinaryIO, Types | None], Iterator[pl.DataFrame]], opener: Opener, rows: int | None
    ) -> None:
        self._read = read
        self._opener = opener
        self._rows = rows

    def types(self) -> Types:
        with self._opener() as stream:
            return _join(self._read(stream, None))

    def read(self, columns: Sequence[str], types: Types, needed: pl.Expr | None) -> Iterator[pl.DataFrame]:
        rows = 0
        with self._opener() as stream:
            for frame in self._read(stream, types):
                rows += frame.height
                yield _conform(frame.select(columns), types)
        if self._rows not in (None, rows):  # quotes that are never closed
            raise ValueError(f"its pieces have {rows} rows, and the whole file had {self._rows}")


class _Arrow:
    """A file of Arrow, which is read where it lies on disk for as long."""

    def __init__(self, opener: Opener, rows: int | None = None) -> None:
        self._opener = opener

    def types(self) -> Types:
        with self._copied() as rows:
            return dict(rows.collect_schema())

    def read(self, columns: Sequence[str], types: Types, needed: pl.Expr | None) -> Iterator[pl.DataFrame]:
        with self._copied() as rows:
            for frame in rows.select(columns).collect_batches(maintain_order=True):
                yield _conform(frame, types)

    @contextlib.contextmanager
    def _copied(self) -> Iterator[pl.LazyFrame]:
        with self._opener() as stream, tempfile.NamedTemporaryFile(prefix="penstock-", suffix=".arrow") as file:
            while piece := stream.read(_COPIED):
                file.write(piece)
            file.flush()
            yield pl.scan_ipc(file.name)


class _Excel:
    """A workbook, which is read whole: it is compressed, and no larger than its program can hold."""

    def __init__(self, opener: Opener, rows: int | None = None) -> None:
        self._opener = opener

    def types(self) -> Types:
        return dict(self._scan().collect_schema())

    def read(self, columns: Sequence[str], types: Types, needed: pl.Expr | None) -> Iterator[pl.DataFrame]:
        yield _conform(self._scan().select(columns).collect(), types)

    def _scan(self) -> pl.LazyFrame:
        with self._opener() as stream:
            return scan_file("book.xlsx", io.BytesIO(stream.read()))


def _read_csv(separator: str) -> "_Kind":
    return lambda opener, rows: _Texts(lambda stream, types: CsvFile(stream, separator).read(types), opener, rows)


def _read_json(opener: Opener, rows: int | None) -> TableFile:
    return _Texts(read_json_lines, opener, rows)


_Kind = Callable[[Opener, int | None], TableFile]
_KINDS: dict[str, _Kind] = {
    ".parquet": _Parquet,
    ".csv": _read_csv(""),
    ".csv.gz": _read_csv(""),
    ".tsv": _read_csv("\t"),
    ".jsonl": _read_json,
    ".ndjson": _read_json,
    ".arrow": _Arrow,
    ".feather": _Arrow,
    ".ipc": _Arrow,
    ".xlsx": _Excel,
}


def _find_kind(path: str) -> _Kind | None:
    name = PurePosixPath(path).name.lower()
    return next((kind for ending, kind in _KINDS.items() if name.endswith(ending)), None)


def _join(frames: Iterator[pl.DataFrame]) -> Types:
    """Types that all pieces of a file have in common; a column without any value says nothing."""
    types: Types = {}
    for frame in frames:
        for series in frame:
            dtype = pl.Null() if series.null_count() == len(series) else series.dtype
            types[series.name] = join_types(types.get(series.name, pl.Null()), dtype)
    return types


def join_types(one: pl.DataType, other: pl.DataType) -> pl.DataType:
    """A type that holds the values of two; text, where no other does."""
    if one == other:
        return one
    empty = [pl.Series("values", [], dtype).to_frame() for dtype in (one, other)]
    try:
        return pl.concat(empty, how="vertical_relaxed").schema["values"]
    except pl.exceptions.PolarsError:
        return pl.String()


def _conform(frame: pl.DataFrame, types: Types) -> pl.DataFrame:
    return frame.select(_as(name, dtype, types[name]) for name, dtype in frame.schema.items())


def _as(name: str, found: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if found == wanted:
        return column
    if isinstance(wanted, pl.Null):
        return pl.when(column.is_null()).then(None).alias(name)
    return column.cast(wanted)
