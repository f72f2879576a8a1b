"""Where a column cuts rows into segments: its most frequent values, or ranges of its numbers, in the reference.

The reference says where, so that the segments of every window are those of the reference, and merge. Their number is
bounded: the most frequent values have a segment each, and all others are one.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.monitoring.sketches.column import ColumnSketch
from penstock.stats.arrays import IntArray

MOST_COLUMNS = 4  # that rows are cut by
MOST_VALUES = 6  # of a column, that have a segment each
NAMES_ROWS = 0.5  # a column in which more than this share of the rows has a value of its own makes no segments
OTHERS = "(other)"


class Cut(Struct, frozen=True):
    """How a column cuts rows into segments.

    Attributes:
        column: its name.
        values: each has a segment; all others share one, with what is missing.
        edges: of ranges of numbers, in place of values; a range holds its lower end.
    """

    column: str
    values: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    @property
    def names(self) -> list[str]:
        """Of the segments, as reports and gates name slices."""
        ranges = [f"{low:g} to {high:g}" for low, high in pairwise(self.edges)]
        if self.edges:
            ranges = [f"below {self.edges[0]:g}", *ranges, f"{self.edges[-1]:g} and above"]
        return [f"{self.column}={value}" for value in (*self.values, *ranges, OTHERS)]

    def place(self, values: pl.Series) -> IntArray:
        """The number of each row's segment in `names`, shape (n,)."""
        is_number = values.dtype.is_numeric() or values.dtype == pl.Boolean
        if self.edges:
            numbers = values.cast(pl.Float64, strict=False).to_numpy() if is_number else np.full(len(values), np.nan)
            return np.where(np.isfinite(numbers), np.searchsorted(self.edges, numbers, "right"), len(self.edges) + 1)
        found = np.full(len(values), len(self.values), dtype=np.int64)
        if values.dtype.is_nested():
            return found
        held = values.cast(pl.Float64 if is_number else pl.String, strict=False)
        for number, value in enumerate(self.values):
            wanted = _read_number(value) if is_number else value
            found[(held == wanted).fill_null(False).to_numpy()] = number
        return found


def find_cuts(reference: Mapping[str, ColumnSketch], columns: Sequence[str]) -> tuple[Cut, ...]:
    """How these columns cut rows; those of them that can, and no more than `MOST_COLUMNS` (`explain_uncut`)."""
    found = _try_cuts(reference, columns)
    return tuple([cut for cut in found.values() if isinstance(cut, Cut)][:MOST_COLUMNS])


def explain_uncut(reference: Mapping[str, ColumnSketch], columns: Sequence[str]) -> dict[str, str]:
    """Of those of these columns that make no segments, by name, why."""
    used = [cut.column for cut in find_cuts(reference, columns)]
    too_many = f"rows are cut by {MOST_COLUMNS} columns at most, which are {', '.join(used)}"
    found = _try_cuts(reference, columns)
    return {name: too_many if isinstance(cut, Cut) else cut for name, cut in found.items() if name not in used}


def _try_cuts(reference: Mapping[str, ColumnSketch], columns: Sequence[str]) -> dict[str, Cut | str]:
    """How each column cuts rows, or why it cannot."""
    absent = "the reference has no such column"
    return {name: _find_cut(name, reference[name]) if name in reference else absent for name in columns}


def _find_cut(name: str, column: ColumnSketch) -> Cut | str:
    if column.lists is not None:
        return "it holds lists"
    if column.labels is not None and column.family in ("number", "text"):
        ranked = sorted(column.labels.counts.items(), key=lambda item: (-item[1], item[0]))
        if column.family == "text" and column.distinct > NAMES_ROWS * column.held:
            return f"{column.distinct:,} different values in {column.held:,} rows: it names the row"
        return Cut(name, tuple(value for value, _ in ranked[:MOST_VALUES]))
    if column.family == "number":
        return Cut(name, edges=tuple(np.unique(column.numbers.quantiles([0.25, 0.5, 0.75])).tolist()))
    return "the reference holds no value" if column.family == "empty" else "it holds neither numbers nor texts"


def _read_number(text: str) -> float:
    """The number that a label stands for; NaN, which equals none, where it is a text."""
    try:
        return float(text)
    except ValueError:
        return float("nan")
