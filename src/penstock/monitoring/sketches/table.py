"""The sketch of a table: of every column, of batches that pass by, or of rows in memory."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import polars as pl
from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.datasets.frames import Table
from penstock.monitoring.sketches.column import ColumnSketch, sketch_column
from penstock.stats.arrays import IntArray, cluster_codes
from penstock.stats.sketches.calibration import CalibrationHistogram

COLUMNS = 16  # read at a time
THREADS = 4  # sorting, which is most of the work, holds no lock of the interpreter


class TableSketch(Struct, frozen=True, eq=False, kw_only=True):
    """What is known of some rows: constant in size, and put together with others by `merge`.

    Attributes:
        rows: how many.
        columns: by name.
        outputs: where the rows are predictions, what was answered.
        calibration: of predicted chances, where the rows are predictions of a binary model.
    """

    rows: int = 0
    columns: dict[str, ColumnSketch] = {}
    outputs: dict[str, ColumnSketch] = {}
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
            columns=_merge(self.columns, other.columns),
            outputs=_merge(self.outputs, other.outputs),
            calibration=known[0].merge(known[1]) if len(known) == 2 else next(iter(known), None),
        )


def _merge(first: dict[str, ColumnSketch], second: dict[str, ColumnSketch]) -> dict[str, ColumnSketch]:
    """By name; what one side lacks had no value there, as the scores of errors."""
    names = [*first, *(name for name in second if name not in first)]
    nothing = ColumnSketch(family="empty")
    return {name: first.get(name, nothing).merge(second.get(name, nothing)) for name in names}


def sketch_frame(rows: pl.DataFrame, keys: Sequence[str] | None = None) -> TableSketch:
    """The sketch of rows in memory.

    Args:
        rows: their columns.
        keys: which rows belong together, one per row; None where every row stands for itself.
    """
    groups = None if keys is None else cluster_codes(list(keys))
    columns = {column.name: sketch_column(column, groups) for column in rows.get_columns()}
    return TableSketch(rows=rows.height, columns=columns)


def sketch_table(table: Table, columns: Sequence[str] | None = None, *, key: str = "") -> TableSketch:
    """The sketch of a table that need not fit into memory, read once.

    Args:
        table: its rows.
        columns: only these; None for all.
        key: the column that says which rows belong together; it is not sketched itself. Where the rows of a key lie
            far apart in the table they count for less than they could, as `ColumnSketch.spread` says.

    Raises:
        InvalidInputError: a file cannot be read as what its name says.
    """
    wanted = [name for name in columns or table.columns if name != key]
    # A file that holds its columns apart is read some at a time, which bounds the memory of a wide one.
    width = COLUMNS if all(file.count is not None for file in table.files) else len(wanted)
    parts = [wanted[start : start + width] for start in range(0, len(wanted), width)]
    with ThreadPoolExecutor(THREADS) as threads:
        sketches = [_sketch_columns(table, part, key, threads) for part in parts]
    columns_of = {name: column for sketch in sketches for name, column in sketch.columns.items()}
    return TableSketch(rows=sketches[0].rows, columns={name: columns_of[name] for name in wanted})


def _sketch_columns(table: Table, columns: Sequence[str], key: str, threads: ThreadPoolExecutor) -> TableSketch:
    held, rows = {name: ColumnSketch(family="empty") for name in columns}, 0
    for batch in table.batches([*columns, key] if key else columns):
        frame = batch.frame
        groups = _groups(frame.get_column(key)) if key else None
        work = {name: threads.submit(_extend, held[name], frame.get_column(name), groups) for name in columns}
        held = {name: future.result() for name, future in work.items()}
        rows += frame.height
    return TableSketch(rows=rows, columns=held)


def _extend(sketch: ColumnSketch, values: pl.Series, groups: IntArray | None) -> ColumnSketch:
    return sketch.merge(sketch_column(values, groups))


def _groups(keys: pl.Series) -> IntArray:
    """The key of each row as 0, 1, 2 ...; a row without one has one of its own."""
    codes = keys.rank("dense")
    own = pl.int_range(len(keys), dtype=pl.Int64, eager=True) + len(keys)
    return (
        pl.select(pl.when(codes.is_null()).then(own).otherwise(codes))
        .to_series()
        .rank("dense")
        .cast(pl.Int64)
        .to_numpy()
        - 1
    )
