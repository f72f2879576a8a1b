"""Stored files as one lazy frame: only the columns, row groups and pieces that a query needs are read."""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl
from polars.io.plugins import register_io_source

from penstock.core.errors import InvalidInputError
from penstock.datasets.frames.formats import explained
from penstock.datasets.reading.tables import TableFile, Types, join_types, plain_type


def scan_tables(files: Mapping[str, TableFile], types: Types | None) -> pl.LazyFrame:
    """The rows of files, one after the other, read whenever the frame is collected.

    Args:
        files: by their paths, at least one.
        types: of all columns; None: as the files say.

    Raises:
        InvalidInputError: the files have different columns.
    """
    known = types or _find_types(files)

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, batch_rows: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = list(known) if columns is None else [name for name in known if name in columns]
        left = rows
        needed = predicate if rows is None else None  # rows are counted before any is left out
        for frame in _read(files, known, wanted, needed):
            for piece in frame.iter_slices(batch_rows) if batch_rows else (frame,):
                found = piece if left is None else piece.head(left)
                yield found if predicate is None else found.filter(predicate)
                if left is not None:
                    left -= found.height
                    if left <= 0:
                        return

    return register_io_source(read, schema=known, is_pure=True, explain_name="penstock")


def _read(
    files: Mapping[str, TableFile], types: Types, columns: Sequence[str], predicate: pl.Expr | None
) -> Iterator[pl.DataFrame]:
    for path, file in files.items():
        with explained(path):
            yield from file.read(columns, types, predicate)


def _find_types(files: Mapping[str, TableFile]) -> Types:
    types: Types = {}
    first = ""
    for path, file in files.items():
        with explained(path):
            found = {name: plain_type(dtype) for name, dtype in file.types().items()}
        if first and set(found) != set(types):
            odd = ", ".join(sorted(set(found) ^ set(types)))
            raise InvalidInputError(f"{path} and {first} differ in the columns {odd}")
        first = first or path
        types = {name: join_types(types.get(name, pl.Null()), found[name]) for name in types or found}
    return types
