"""Columns as causes read them from rows: their kind, by the rule of the drift tests, their labels and their numbers."""

import polars as pl

from penstock.monitoring.columns import ColumnKind, find_kind
from penstock.monitoring.sketches.sketching import first_items, sketch_column
from penstock.stats.arrays import FloatArray


def find_row_kind(reference: pl.Series, now: pl.Series) -> ColumnKind:
    """How to read a column of two samples."""
    return find_kind(sketch_column(reference), sketch_column(now))


def read_values(column: pl.Series) -> pl.Series:
    """A column as its values are compared: of lists the newest items."""
    is_list = isinstance(column.dtype, pl.List | pl.Array) and not isinstance(column.dtype.inner, pl.List | pl.Array)
    return first_items(column).alias(column.name) if is_list else column


def read_labels(column: pl.Series, kind: ColumnKind) -> pl.Series:
    """The categories of a column as text; empty and missing ones are null."""
    labels = column.cast(pl.String, strict=False)
    if kind.kind == "first":
        labels = labels.str.strip_chars().str.split(" ").list.first()
    return labels.replace("", None)


def read_numbers(column: pl.Series) -> FloatArray:
    """The numbers of a column; missing ones are NaN, and so are infinities."""
    numbers = column.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None).fill_null(float("nan")).to_numpy()
