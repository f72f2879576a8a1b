"""The sketch of a table: of every column, of batches that pass by, or of rows in memory."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl
from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.datasets.frames import Batch, Table
from penstock.monitoring.sketches.column import ColumnSketch, sketch_column
from penstock.stats.arrays import cluster_codes
from penstock.stats.sketches.calibration import CalibrationHistogram

COLUMNS = 16  # read at a time
THREADS = 4  # sorting, which is most of the work, holds no lock of the interpreter


class TableSketch(Struct, frozen=True, eq=False, kw_only=True):
    """What is known of some rows: constant in size, and put together with others by `merge`.

    Attributes:
        rows: how many.
        columns: by name.
        calibration: of predicted chances, where the rows are predictions of a binary model.
    """

    rows: int = 0
    columns: dict[str, ColumnSketch] = {}
    calibration: CalibrationHistogram | None = None

    def merge(self, other: "TableSketch") -> "TableSketch":
        """Of the rows of both.

        Raises:
            InvalidInputError: they have other columns.
        """
        if not self.rows or not other.rows:
            return self if self.rows else other
        odd = sorted(set(self.columns) ^ set(other.columns))
        if odd:
            raise InvalidInputError(f"two sketches differ in the columns {', '.join(odd)}")
        known = [each for each in (self.calibration, other.calibration) if each is not None]
        return TableSketch(
            rows=self.rows + other.rows,
            columns={name: column.merge(other.columns[name]) for name, column in self.columns.items()},
            calibration=known[0].merge(known[1]) if len(known) == 2 else next(iter(known), None),
        )


def sketch_frame(rows: pl.DataFrame, keys: Sequence[str] | None = None) -> TableSketch:
    """The sketch of rows in memory.

    Args:
        rows: their columns.
        keys: which rows belong together, one per row; None where every row stands for itself.
    """
    groups = None if keys is None else cluster_codes(list(keys))
    columns = {column.name: sketch_column(column, groups) for column in rows.get_columns()}
    return TableSketch(rows=rows.height, columns=columns)


def sketch_table(table: Table, columns: Sequence[str] | None = None) -> TableSketch:
    """The sketch of a table that need not fit into memory, read once.

    Args:
        table: its rows.
        columns: only these; None for all.

    Raises:
        InvalidInputError: a file cannot be read as what its name says.
    """
    wanted = list(columns or table.columns)
    # A file that holds its columns apart is read some at a time, which bounds the memory of a wide one.
    width = COLUMNS if all(file.count is not None for file in table.files) else len(wanted)
    parts = [wanted[start : start + width] for start in range(0, len(wanted), width)]
    with ThreadPoolExecutor(THREADS) as threads:
        sketches = [_sketch_columns(table, part, threads) for part in parts]
    columns_of = {name: column for sketch in sketches for name, column in sketch.columns.items()}
    return TableSketch(rows=sketches[0].rows, columns={name: columns_of[name] for name in wanted})


def _sketch_columns(table: Table, columns: Sequence[str], threads: ThreadPoolExecutor) -> TableSketch:
    gatherer = SketchGatherer(columns, threads)
    for batch in table.batches(columns):
        gatherer.add(batch)
    return gatherer.sketch()


class SketchGatherer:
    """Takes in batches of a table; `sketch` is the sketch of all of them."""

    def __init__(self, columns: Sequence[str], threads: ThreadPoolExecutor) -> None:
        self.columns = columns
        self._threads = threads
        self._gathered = {name: ColumnSketch(family="empty") for name in columns}
        self._rows = 0

    def add(self, batch: Batch) -> None:
        """Take in the next rows."""
        held = self._gathered
        work = {name: self._threads.submit(_extend, held[name], batch.frame.get_column(name)) for name in self.columns}
        self._gathered = {name: future.result() for name, future in work.items()}
        self._rows += batch.frame.height

    def sketch(self) -> TableSketch:
        """Of the rows so far."""
        return TableSketch(rows=self._rows, columns=self._gathered)


def _extend(sketch: ColumnSketch, values: pl.Series) -> ColumnSketch:
    return sketch.merge(sketch_column(values))
