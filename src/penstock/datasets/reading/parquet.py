"""Parquet files read a row group at a time, and of it only the columns that are asked for."""

import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import polars as pl
from msgspec import Struct

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.datasets.reading.compact import Fields, decode_struct

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_TAIL = 8  # bytes: the length of the footer, and the mark
_ROW_GROUPS, _COLUMNS, _GROUP_ROWS, _METADATA = 4, 1, 3, 3  # numbers of fields in the footer
_PATH, _SIZE, _DATA_PAGE, _DICTIONARY_PAGE = 3, 7, 9, 11
Span = tuple[int, int]  # from, and up to


class RowGroup(Struct, frozen=True):
    """Some rows of a file, column by column."""

    first: int  # its first row within the file
    rows: int
    spans: dict[str, list[Span]]  # where the bytes of each column of the table stand; a nested one has several


class ParquetFile:
    """A Parquet file behind a stream; for one thread.

    Each row group is laid out in a file of memory that has holes where other groups and columns would be, and polars
    reads that one.

    Args:
        stream: seekable.

    Raises:
        CorruptDataError: it does not end as a Parquet file does.
        InvalidInputError: it is encrypted.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._size = stream.seek(0, io.SEEK_END)
        self._start, self._footer = self._read_footer()
        self.groups = _read_groups(decode_struct(self._footer))

    def schema(self) -> dict[str, pl.DataType]:
        """The columns of the table and their types."""
        with self._laid_out([]) as path:
            return dict(pl.scan_parquet(path, glob=False).collect_schema())

    def read(self, group: RowGroup, columns: Sequence[str]) -> pl.DataFrame:
        """The rows of a group, at least one column of them."""
        with self._laid_out([span for name in columns for span in group.spans[name]]) as path:
            rows = pl.scan_parquet(path, glob=False).slice(group.first, group.rows)
            return rows.select(columns).collect()

    @contextlib.contextmanager
    def _laid_out(self, spans: Sequence[Span]) -> Iterator[str]:
        """A file in memory that has these bytes and the footer."""
        file = os.memfd_create("penstock-parquet")
        try:
            os.ftruncate(file, self._size)
            os.pwrite(file, _MAGIC, 0)
            _write(file, self._start, self._footer)
            _write(file, self._size - _TAIL, len(self._footer).to_bytes(4, "little") + _MAGIC)
            for start, end in _joined(spans):
                self._stream.seek(start)
                _write(file, start, self._stream.read(end - start))
            yield f"/proc/self/fd/{file}"
        finally:
            os.close(file)

    def _read_footer(self) -> tuple[int, bytes]:
        self._stream.seek(max(0, self._size - _TAIL))
        tail = self._stream.read(_TAIL)
        if tail.endswith(_ENCRYPTED):
            raise InvalidInputError("an encrypted Parquet file cannot be read")
        length = int.from_bytes(tail[:4], "little")
        start = self._size - _TAIL - length
        if not tail.endswith(_MAGIC) or start < len(_MAGIC):
            raise CorruptDataError("this is no Parquet file")
        self._stream.seek(start)
        return start, self._stream.read(length)


def _read_groups(footer: Fields) -> list[RowGroup]:
    groups: list[RowGroup] = []
    first = 0
    try:
        for group in footer.get(_ROW_GROUPS, ()):
            spans: dict[str, list[Span]] = {}
            for column in group[_COLUMNS]:
                held = column[_METADATA]
                start = min(held[_DATA_PAGE], held.get(_DICTIONARY_PAGE) or held[_DATA_PAGE])
                spans.setdefault(held[_PATH][0].decode(), []).append((start, start + held[_SIZE]))
            groups.append(RowGroup(first, group[_GROUP_ROWS], spans))
            first += groups[-1].rows
    except (KeyError, IndexError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise CorruptDataError("the footer of this Parquet file cannot be read") from error
    return groups


def _joined(spans: Sequence[Span]) -> Iterator[Span]:
    """Neighbours as one."""
    start = end = 0
    for span in sorted(spans):
        if span[0] > end:
            if end > start:
                yield start, end
            start = span[0]
        end = max(end, span[1])
    if end > start:
        yield start, end


def _write(file: int, offset: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, offset)
        offset, rest = offset + written, rest[written:]
