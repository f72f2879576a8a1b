"""What a column of input is to a drift test: numbers, categories, or something that cannot be tested."""

from typing import Literal

import polars as pl
from msgspec import Struct

from penstock.stats.arrays import FloatArray

FEW_VALUES = 20  # whole numbers with no more different values are categories: months, grades, flags
MANY_LABELS = 0.5  # a text column in which more than this share of the rows has a value of its own names the row
LISTS = 0.5  # a text column in which this share of the values has several words holds lists


class ColumnKind(Struct, frozen=True):
    """How a column is read."""

    kind: Literal["number", "category", "first", "none"]  # first: the newest item of a list, as a category
    note: str = ""


def find_kind(reference: pl.Series, current: pl.Series) -> ColumnKind:
    """How to read a column, from its type and values in both samples; the reference decides where they differ."""
    held = reference.drop_nulls()
    if not len(held) or not len(current):
        return ColumnKind("none", "one of the two samples holds no value")
    if held.dtype.is_temporal():
        return ColumnKind("none", "time moves by itself")
    if held.dtype.is_numeric() or held.dtype == pl.Boolean:
        few = not held.dtype.is_float() and max(held.n_unique(), current.n_unique()) <= FEW_VALUES
        return ColumnKind("category" if few else "number")
    if isinstance(held.dtype, pl.List):
        return ColumnKind("first", "the newest item of each list")
    if held.dtype not in (pl.String, pl.Categorical, pl.Enum):
        return ColumnKind("none", f"values of type {held.dtype} are not compared")
    return _find_text_kind(held.cast(pl.String))


def _find_text_kind(held: pl.Series) -> ColumnKind:
    filled = held.filter(held != "")
    several = filled.str.contains(r"\S\s+\S")
    if len(filled) and several.sum() >= LISTS * len(filled):
        return ColumnKind("first", "the newest item of each list")
    if held.n_unique() > MANY_LABELS * len(held) and len(held) > FEW_VALUES:
        return ColumnKind("none", f"{held.n_unique():,} different values in {len(held):,} rows: it names the row")
    return ColumnKind("category")


def read_labels(column: pl.Series, kind: ColumnKind) -> pl.Series:
    """The categories of a column as text; empty and missing ones are null."""
    if kind.kind == "first" and isinstance(column.dtype, pl.List):
        column = column.list.first()
    labels = column.cast(pl.String, strict=False)
    if kind.kind == "first":
        labels = labels.str.strip_chars().str.split(" ").list.first()
    return labels.replace("", None)


def read_numbers(column: pl.Series) -> FloatArray:
    """The numbers of a column; missing ones are NaN, and so are infinities."""
    numbers = column.cast(pl.Float64, strict=False)
    return numbers.set(~numbers.is_finite(), None).fill_null(float("nan")).to_numpy()
