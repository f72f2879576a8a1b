"""Makes the sketch of a column from its values."""

import math

import numpy as np
import polars as pl
from msgspec import structs

from penstock.monitoring.sketches.column import (
    FEW_VALUES,
    ROOM_OF_A_HASH,
    ColumnSketch,
    Family,
    ListSketch,
    count_first_words,
    first_words,
    hash_sketch,
)
from penstock.stats.arrays import FloatArray, IntArray
from penstock.stats.design_effect import design_effect
from penstock.stats.sketches.frequencies import Frequencies
from penstock.stats.sketches.hashing import Hashes, hash_numbers
from penstock.stats.sketches.moments import moments_of
from penstock.stats.sketches.quantiles import ROOM, QuantileSketch

BINS = 10  # of numbers, to measure how alike the rows of a key are
_GLANCE = 64  # values that show whether there are many different ones
_TEXTS = (pl.String, pl.Categorical, pl.Enum)
_SEVERAL = r"\S\s+\S"
_DIGITS = 5  # of a norm: those of vectors that were made to have the length 1 differ by rounding alone


def sketch_column(column: pl.Series, groups: IntArray | None = None, *, room: int = ROOM) -> ColumnSketch:
    """The sketch of a column.

    Args:
        column: its values.
        groups: key of each row as 0, 1, 2 ...; None where every row stands for itself.
        room: of numbers, as in `QuantileSketch`.
    """
    dtype = column.dtype
    if column.null_count() == len(column):
        return ColumnSketch(family="empty", rows=len(column), missing=len(column))
    if dtype.is_numeric() or dtype == pl.Boolean:
        return _sketch_numbers(column, groups, room)
    if dtype in _TEXTS:
        return _sketch_texts(column, groups)
    if isinstance(dtype, pl.List | pl.Array):
        return _sketch_lists(column, groups, room)
    family: Family = "time" if dtype.is_temporal() else "other"
    return ColumnSketch(family=family, rows=len(column), missing=column.null_count(), labels=None)


def _sketch_numbers(column: pl.Series, groups: IntArray | None, room: int) -> ColumnSketch:
    is_whole = not (column.dtype.is_float() or column.dtype.is_decimal())
    if column.dtype == pl.Boolean:
        column = column.cast(pl.UInt8)
    values = column.cast(pl.Float64, strict=False).to_numpy()  # missing ones are NaN
    is_known = np.isfinite(values)
    held = values if is_known.all() else values[is_known]
    return ColumnSketch(
        family="number" if len(held) else "empty",
        rows=len(values),
        missing=len(values) - len(held),
        is_whole=is_whole,
        numbers=QuantileSketch(room=room).add(held),
        moments=moments_of(held),
        hashes=_smallest_hashes(held, room),
        labels=_few_labels(held),
        spread=_spread(_bins(values, held), groups) if groups is not None else 0.0,
    )


def _sketch_texts(column: pl.Series, groups: IntArray | None) -> ColumnSketch:
    counted = column.rename("text").value_counts(name="rows").drop_nulls()
    texts, rows = counted.get_column("text").cast(pl.String), counted.get_column("rows").cast(pl.Int64)
    is_filled = texts != ""
    texts, rows = texts.filter(is_filled), rows.filter(is_filled)
    has_several = texts.str.contains(_SEVERAL)
    several = int(rows.filter(has_several).sum())
    firsts = Frequencies().add(count_first_words(texts, rows)) if several else None
    held = int(rows.sum())
    if groups is not None:
        plain = column.cast(pl.String)
        codes = (first_words(plain) if 2 * several >= held else plain).rank("dense").fill_null(0)
    return ColumnSketch(
        family="text" if held else "empty",
        rows=len(column),
        missing=len(column) - held,
        labels=Frequencies().add(dict(zip(texts.to_list(), rows.to_list(), strict=True))),
        firsts=firsts,
        several=several,
        spread=_spread(codes.cast(pl.Int64).to_numpy(), groups) if groups is not None else 0.0,
    )


def _sketch_lists(column: pl.Series, groups: IntArray | None, room: int) -> ColumnSketch:
    """As the texts of the newest items, with the lists; an empty one has no newest item, and so is missing."""
    lists = column.arr.to_list() if isinstance(column.dtype, pl.Array) else column
    items = lists.list.explode()
    if isinstance(items.dtype, pl.List | pl.Array):
        return ColumnSketch(family="other", rows=len(column), missing=column.null_count(), labels=None)
    # Half of the room for each of the two, so that a column of lists takes no more than one of numbers.
    lengths, norms, counts = sketch_column(lists.list.len(), groups, room=room // 2), None, None
    if items.dtype.is_float() or items.dtype == pl.Null:
        norms = sketch_column(_norms(lists), groups, room=room // 2)
    if not items.dtype.is_float():
        counts = Frequencies().add(_count_items(lists))
    newest = _sketch_texts(first_items(column), groups)
    return structs.replace(newest, lists=ListSketch(lengths=lengths, items=counts, norms=norms))


def first_items(lists: pl.Series) -> pl.Series:
    """The first item of each list as text; null where there is none."""
    items = lists.arr.first() if isinstance(lists.dtype, pl.Array) else lists.list.first()
    return items.cast(pl.String, strict=False)


def _norms(lists: pl.Series) -> pl.Series:
    """The Euclidean norm of each list; null where it has no items."""
    squares = lists.list.eval(pl.element().cast(pl.Float64) ** 2)
    return squares.list.sum().sqrt().round_sig_figs(_DIGITS).set(lists.list.len() == 0, None)


def _count_items(lists: pl.Series) -> dict[str, int]:
    """How many lists hold each item."""
    items = lists.list.unique().list.explode().cast(pl.String, strict=False).rename("item").drop_nulls()
    return dict(items.value_counts(name="rows").iter_rows())


def _few_labels(held: FloatArray) -> Frequencies | None:
    """The rows of each number, where there are few different ones."""
    if len(np.unique(held[:_GLANCE])) > FEW_VALUES:
        return None
    different, rows = np.unique(held, return_counts=True)
    if len(different) > FEW_VALUES:
        return None
    return Frequencies().add(
        {_label(value): count for value, count in zip(different.tolist(), rows.tolist(), strict=True)}
    )


def _label(number: float) -> str:
    return str(int(number)) if number.is_integer() else repr(number)


def _smallest_hashes(held: FloatArray, room: int) -> Hashes:
    """The smallest different hashes; of many values only the small ones are looked at, where those are enough."""
    hashes, most = hash_numbers(held), room // ROOM_OF_A_HASH
    if len(hashes) > 8 * most:
        small = hash_sketch(room, hashes[hashes <= np.uint64(2**64 // len(hashes) * 4 * most)]).held()
        if len(small) == most:
            return small
    return hash_sketch(room, hashes).held()


def _bins(values: FloatArray, held: FloatArray) -> IntArray:
    """Which tenth of the column each number belongs to; what is missing has a bin of its own."""
    edges = np.unique(np.quantile(held, np.arange(1, BINS) / BINS)) if len(held) else np.empty(0)
    return np.where(np.isfinite(values), np.searchsorted(edges, values, "left"), BINS)


def _spread(codes: IntArray, groups: IntArray) -> float:
    return math.sqrt(design_effect(codes, groups) * len(codes))
