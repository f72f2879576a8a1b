"""The sketch of a table: of every column, of batches that pass by, or of rows in memory."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
from msgspec import Struct, structs

from penstock.core.errors import InvalidInputError
from penstock.datasets.frames import Table
from penstock.monitoring.sketches.column import ColumnSketch
from penstock.monitoring.sketches.cuts import Cut, explain_uncut, find_cuts
from penstock.monitoring.sketches.sketching import sketch_column
from penstock.stats.arrays import IntArray, cluster_codes
from penstock.stats.sketches.calibration import CalibrationHistogram
from penstock.stats.sketches.quantiles import ROOM

COLUMNS = 16  # read at a time
SEGMENT_ROOM = 256  # of the numbers of a segment: there are many, and each may take a tenth of what the whole does
THREADS = 4  # sorting, which is most of the work, holds no lock of the interpreter


class TableSketch(Struct, frozen=True, eq=False, kw_only=True):
    """What is known of some rows: constant in size, and put together with others by `merge`.

    Attributes:
        rows: how many.
        columns: by name.
        outputs: where the rows are predictions, what was answered.
        calibration: of predicted chances, where the rows are predictions of a binary model.
        segments: the same rows cut by each of some columns.
        uncut: columns that were to cut them and do not, and why.
    """

    rows: int = 0
    columns: dict[str, ColumnSketch] = {}
    outputs: dict[str, ColumnSketch] = {}
    calibration: CalibrationHistogram | None = None
    segments: tuple["Segments", ...] = ()
    uncut: dict[str, str] = {}

    def merge(self, other: "TableSketch") -> "TableSketch":
        """Of the rows of both; with the segments that both are cut into.

        Raises:
            InvalidInputError: they have other columns.
        """
        if not self.rows or not other.rows:
            return self if self.rows else other
        odd = sorted(set(self.columns) ^ set(other.columns))
        if odd:
            raise InvalidInputError(f"two sketches differ in the columns {', '.join(odd)}")
        known = [each for each in (self.calibration, other.calibration) if each is not None]
        segments = tuple(a.merge(b) for a in self.segments for b in other.segments if a.cut == b.cut)
        asked = {held.cut.column for held in (*self.segments, *other.segments)}
        lost = sorted(asked - {held.cut.column for held in segments})
        return TableSketch(
            rows=self.rows + other.rows,
            columns=_merge(self.columns, other.columns),
            outputs=_merge(self.outputs, other.outputs),
            calibration=known[0].merge(known[1]) if len(known) == 2 else next(iter(known), None),
            segments=segments,
            uncut=self.uncut | other.uncut | dict.fromkeys(lost, "the rows were sketched in parts, not all cut alike"),
        )


class Segments(Struct, frozen=True, eq=False):
    """Rows cut by one column.

    Attributes:
        cut: where.
        parts: the sketch of each segment that has rows, by its name; of less room than that of the whole.
    """

    cut: Cut
    parts: dict[str, TableSketch]

    def merge(self, other: "Segments") -> "Segments":
        """Of the rows of both, which have to be cut alike."""
        nothing = TableSketch()
        names = [name for name in self.cut.names if name in self.parts or name in other.parts]
        return Segments(self.cut, {n: self.parts.get(n, nothing).merge(other.parts.get(n, nothing)) for n in names})


def _merge(first: dict[str, ColumnSketch], second: dict[str, ColumnSketch]) -> dict[str, ColumnSketch]:
    """By name; what one side lacks had no value there, as the scores of errors."""
    names = [*first, *(name for name in second if name not in first)]
    nothing = ColumnSketch(family="empty")
    return {name: first.get(name, nothing).merge(second.get(name, nothing)) for name in names}


def sketch_frame(rows: pl.DataFrame, keys: Sequence[str] | None = None, *, room: int = ROOM) -> TableSketch:
    """The sketch of rows in memory.

    Args:
        rows: their columns.
        keys: which rows belong together, one per row; None where every row stands for itself.
        room: of numbers, as in `QuantileSketch`.
    """
    groups = None if keys is None else cluster_codes(list(keys))
    columns = {column.name: sketch_column(column, groups, room=room) for column in rows.get_columns()}
    return TableSketch(rows=rows.height, columns=columns)


def sketch_segments(
    rows: pl.DataFrame, cuts: Sequence[Cut], sketch: Callable[[IntArray], TableSketch]
) -> tuple[Segments, ...]:
    """The sketches of the segments of some rows.

    Args:
        rows: that are cut.
        cuts: by what; one whose column the rows lack makes no segments.
        sketch: makes the sketch of the rows with these numbers, of `SEGMENT_ROOM`.
    """
    return tuple(
        Segments(cut, {name: sketch(inside) for name, inside in find_rows(rows, cut).items()})
        for cut in cuts
        if cut.column in rows.columns
    )


def find_rows(rows: pl.DataFrame, cut: Cut) -> dict[str, IntArray]:
    """The numbers of the rows of each segment that has any."""
    place = cut.place(rows.get_column(cut.column))
    held = {name: np.flatnonzero(place == number) for number, name in enumerate(cut.names)}
    return {name: inside for name, inside in held.items() if len(inside)}


def sketch_cut_frame(rows: pl.DataFrame, cuts: Sequence[Cut], keys: Sequence[str] | None = None) -> TableSketch:
    """As `sketch_frame`, with the segments."""

    def sketch(inside: IntArray) -> TableSketch:
        own = None if keys is None else [keys[number] for number in inside.tolist()]
        return sketch_frame(rows[inside], own, room=SEGMENT_ROOM)

    return structs.replace(sketch_frame(rows, keys), segments=sketch_segments(rows, cuts, sketch))


def sketch_reference(rows: pl.DataFrame, columns: Sequence[str], keys: Sequence[str] | None = None) -> TableSketch:
    """As `sketch_frame`, with the segments that the values of these columns make; the rows may lack some of them."""
    held = sketch_frame(rows.select([name for name in dict.fromkeys(columns) if name in rows.columns])).columns
    cut = sketch_cut_frame(rows, find_cuts(held, columns), keys)
    return structs.replace(cut, uncut=explain_uncut(held, columns))


def sketch_table(
    table: Table, columns: Sequence[str] | None = None, *, key: str = "", cuts: Sequence[Cut] = ()
) -> TableSketch:
    """The sketch of a table that need not fit into memory, read once.

    Args:
        table: its rows.
        columns: only these; None for all.
        key: the column that says which rows belong together; it is not sketched itself. Where the rows of a key lie
            far apart in the table they count for less than they could, as `ColumnSketch.spread` says.
        cuts: where segments are; one whose column the table lacks makes none.

    Raises:
        InvalidInputError: a file cannot be read as what its name says.
    """
    wanted = [name for name in columns or table.columns if name != key]
    cuts = [cut for cut in cuts if cut.column in table.columns]
    # A file that holds its columns apart is read some at a time, which bounds the memory of a wide one.
    width = COLUMNS if all(file.count is not None for file in table.files) else len(wanted)
    parts = [wanted[start : start + width] for start in range(0, len(wanted), width)]
    with ThreadPoolExecutor(THREADS) as threads:
        sketches = [_sketch_columns(table, part, key, cuts, threads) for part in parts]
    return _side_by_side(sketches)


def _side_by_side(sketches: Sequence[TableSketch]) -> TableSketch:
    """The same rows, some columns in each sketch."""
    first = sketches[0]
    segments = [
        Segments(
            held.cut, {name: _side_by_side([each.segments[at].parts[name] for each in sketches]) for name in held.parts}
        )
        for at, held in enumerate(first.segments)
    ]
    columns = {name: column for each in sketches for name, column in each.columns.items()}
    return TableSketch(rows=first.rows, columns=columns, segments=tuple(segments))


def _sketch_columns(
    table: Table, columns: Sequence[str], key: str, cuts: Sequence[Cut], threads: ThreadPoolExecutor
) -> TableSketch:
    nothing = TableSketch(columns={name: ColumnSketch(family="empty") for name in columns})
    held, parts = nothing, {cut: dict[str, TableSketch]() for cut in cuts}
    needed = dict.fromkeys([*columns, *([key] if key else []), *(cut.column for cut in cuts)])
    for batch in table.batches(list(needed)):
        frame = batch.frame
        groups = _groups(frame.get_column(key)) if key else None
        held = _extend(held, frame, groups, threads, ROOM)
        for cut, own in parts.items():
            for name, inside in find_rows(frame, cut).items():
                some = None if groups is None else groups[inside]
                own[name] = _extend(own.get(name, nothing), frame[inside], some, threads, SEGMENT_ROOM)
    return structs.replace(held, segments=tuple(Segments(cut, own) for cut, own in parts.items()))


def _extend(
    sketch: TableSketch, rows: pl.DataFrame, groups: IntArray | None, threads: ThreadPoolExecutor, room: int
) -> TableSketch:
    """The sketch with more rows, of which it takes the columns that it has; a column a thread."""

    def extend(name: str) -> ColumnSketch:
        return sketch.columns[name].merge(sketch_column(rows.get_column(name), groups, room=room))

    extended = threads.map(extend, sketch.columns)
    return TableSketch(rows=sketch.rows + rows.height, columns=dict(zip(sketch.columns, extended, strict=True)))


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
