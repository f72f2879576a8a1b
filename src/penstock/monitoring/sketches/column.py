"""What is kept of one column of some rows, in place of its values."""

import math
from typing import Literal

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.stats.arrays import FloatArray, IntArray
from penstock.stats.design_effect import design_effect
from penstock.stats.sketches.distinct import DistinctSketch
from penstock.stats.sketches.frequencies import Frequencies
from penstock.stats.sketches.hashing import Hashes, hash_numbers
from penstock.stats.sketches.moments import Moments, moments_of
from penstock.stats.sketches.quantiles import ROOM, QuantileSketch

FEW_VALUES = 20  # numbers with no more different values are counted one by one, too
ROOM_OF_A_HASH = 4  # numbers of the sketch, for each hash that is kept to tell how many are different
BINS = 10  # of numbers, to measure how alike the rows of a key are
_GLANCE = 64  # values that show whether there are many different ones
_TEXTS = (pl.String, pl.Categorical, pl.Enum)
_SEVERAL = r"\S\s+\S"

Family = Literal["number", "text", "time", "other", "empty"]


class ColumnSketch(Struct, frozen=True, eq=False, kw_only=True):
    """What is known of one column. Sketches of parts merge to the sketch of the whole.

    Attributes:
        family: what its values are; `empty` where there is none.
        rows: all of them.
        missing: rows without a value: null, NaN and infinities, empty texts.
        is_whole: its numbers are of a type without fractions.
        numbers: their distribution.
        moments: of the numbers.
        hashes: the smallest hashes of the numbers, which tell how many different ones there are.
        labels: rows of each text; of each number while they are few, else None.
        firsts: of texts with several words or items, rows of each first one; None where there are no such texts.
        several: rows whose text has several words.
        spread: root of the design effect times the rows, where rows have keys: what Rao and Scott's correction
            needs. Merging adds it up, as if the rows of a key in one part were like those in the other: never too
            little, as the deviation of a sum is at most the sum of the deviations. 0 where every row stands for itself.
    """

    family: Family
    rows: int = 0
    missing: int = 0
    is_whole: bool = False
    numbers: QuantileSketch = QuantileSketch()
    moments: Moments = Moments()
    hashes: Hashes | None = None
    labels: Frequencies | None = Frequencies()
    firsts: Frequencies | None = None
    several: int = 0
    spread: float = 0.0

    @property
    def held(self) -> int:
        """Rows with a value."""
        return self.rows - self.missing

    @property
    def effect(self) -> float:
        """How many rows count as one independent row."""
        return max(self.spread**2 / self.rows, 1.0) if self.rows else 1.0

    @property
    def distinct(self) -> int:
        """How many different values, about."""
        if self.labels is not None:
            return self.labels.distinct
        return _distinct(self.numbers.room, self.hashes).count()

    def first_labels(self) -> Frequencies | None:
        """The rows of each first word, also where no text has a second one; None where too many are different."""
        if self.firsts is not None or self.labels is None or not self.labels.is_exact:
            return self.firsts
        texts = pl.Series(list(self.labels.counts), dtype=pl.String)
        return Frequencies().add(_add_up(first_words(texts), pl.Series(self.labels.counts.values(), dtype=pl.Int64)))

    def merge(self, other: "ColumnSketch") -> "ColumnSketch":
        """Of the rows of both; a column that holds texts in one part and numbers in the other is of no family."""
        family = _common(self.family, other.family)
        labels = None
        if self.labels is not None and other.labels is not None:
            labels = self.labels.merge(other.labels)
            if family == "number" and labels.distinct > FEW_VALUES:
                labels = None
        numbers = self.numbers.merge(other.numbers)
        return ColumnSketch(
            family=family,
            rows=self.rows + other.rows,
            missing=self.missing + other.missing,
            is_whole=(self.is_whole or self.family == "empty") and (other.is_whole or other.family == "empty"),
            numbers=numbers,
            moments=self.moments.merge(other.moments),
            hashes=_distinct(numbers.room, self.hashes, other.hashes).held() if family == "number" else None,
            labels=labels,
            firsts=_merge_firsts(self, other),
            several=self.several + other.several,
            spread=self.spread + other.spread,
        )


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
        return _sketch_lists(column, groups)
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
    firsts = Frequencies().add(_add_up(first_words(texts), rows)) if several else None
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


def _sketch_lists(column: pl.Series, groups: IntArray | None) -> ColumnSketch:
    """Of the newest item of each list; an empty list is missing."""
    items = column.arr.first() if isinstance(column.dtype, pl.Array) else column.list.first()
    return _sketch_texts(items.cast(pl.String, strict=False), groups)


def first_words(texts: pl.Series) -> pl.Series:
    """The first word of each text; null where there is none."""
    return texts.str.strip_chars().str.split(" ").list.first().replace("", None)


def _add_up(texts: pl.Series, rows: pl.Series) -> dict[str, int]:
    summed = pl.DataFrame({"text": texts, "rows": rows}).drop_nulls().group_by("text").agg(pl.col("rows").sum())
    return dict(summed.iter_rows())


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
        small = _distinct(room, hashes[hashes <= np.uint64(2**64 // len(hashes) * 4 * most)]).held()
        if len(small) == most:
            return small
    return _distinct(room, hashes).held()


def _distinct(room: int, *hashes: Hashes | None) -> DistinctSketch:
    sketch = DistinctSketch(room // ROOM_OF_A_HASH)
    for each in hashes:
        if each is not None:
            sketch.add(each)
    return sketch


def _bins(values: FloatArray, held: FloatArray) -> IntArray:
    """Which tenth of the column each number belongs to; what is missing has a bin of its own."""
    edges = np.unique(np.quantile(held, np.arange(1, BINS) / BINS)) if len(held) else np.empty(0)
    return np.where(np.isfinite(values), np.searchsorted(edges, values, "left"), BINS)


def _spread(codes: IntArray, groups: IntArray) -> float:
    return math.sqrt(design_effect(codes, groups) * len(codes))


def _common(first: Family, second: Family) -> Family:
    if "empty" in (first, second):
        return second if first == "empty" else first
    return first if first == second else "other"


def _merge_firsts(first: ColumnSketch, second: ColumnSketch) -> Frequencies | None:
    """First words of both; a part without lists has words that are their own first ones, unless it names no more."""
    if first.firsts is None and second.firsts is None:
        return None
    parts = [each.first_labels() for each in (first, second)]
    return None if parts[0] is None or parts[1] is None else parts[0].merge(parts[1])
