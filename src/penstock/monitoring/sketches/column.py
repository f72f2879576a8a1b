"""What is kept of one column of some rows, in place of its values."""

from typing import Literal

import polars as pl
from msgspec import Struct

from penstock.stats.sketches.distinct import DistinctSketch
from penstock.stats.sketches.frequencies import Frequencies
from penstock.stats.sketches.hashing import Hashes
from penstock.stats.sketches.moments import Moments
from penstock.stats.sketches.quantiles import QuantileSketch

FEW_VALUES = 20  # numbers with no more different values are counted one by one, too
ROOM_OF_A_HASH = 4  # numbers of the sketch, for each hash that is kept to tell how many are different

Family = Literal["number", "text", "time", "other", "empty"]


class ColumnSketch(Struct, frozen=True, eq=False, kw_only=True):
    """What is known of one column. Sketches of parts merge to the sketch of the whole.

    Attributes:
        family: what its values are; `empty` where there is none. A list counts as the text of its newest item.
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
        lists: what else is known where the values are lists; None where they are not.
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
    lists: "ListSketch | None" = None

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
        return hash_sketch(self.numbers.room, self.hashes).count()

    def first_labels(self) -> Frequencies | None:
        """The rows of each first word, also where no text has a second one; None where too many are different."""
        if self.firsts is not None or self.labels is None or not self.labels.is_exact:
            return self.firsts
        texts = pl.Series(list(self.labels.counts), dtype=pl.String)
        return Frequencies().add(count_first_words(texts, pl.Series(self.labels.counts.values(), dtype=pl.Int64)))

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
            hashes=hash_sketch(numbers.room, self.hashes, other.hashes).held() if family == "number" else None,
            labels=labels,
            firsts=_merge_firsts(self, other),
            several=self.several + other.several,
            spread=self.spread + other.spread,
            lists=_merge_lists(self, other),
        )


class ListSketch(Struct, frozen=True, eq=False, kw_only=True):
    """What is known of a column of lists beside their newest items.

    Attributes:
        lengths: how many items each has.
        items: rows that hold each item; None where the items are numbers with fractions, as in an embedding...
        norms: ... and then the Euclidean norm of each list.
    """

    lengths: ColumnSketch
    items: Frequencies | None = None
    norms: ColumnSketch | None = None

    def merge(self, other: "ListSketch") -> "ListSketch":
        """Of the rows of both, with what both know."""
        items = None if self.items is None or other.items is None else self.items.merge(other.items)
        norms = None if self.norms is None or other.norms is None else self.norms.merge(other.norms)
        return ListSketch(lengths=self.lengths.merge(other.lengths), items=items, norms=norms)


def first_words(texts: pl.Series) -> pl.Series:
    """The first word of each text; null where there is none."""
    return texts.str.strip_chars().str.split(" ").list.first().replace("", None)


def count_first_words(texts: pl.Series, rows: pl.Series) -> dict[str, int]:
    """The rows of each first word, from those of each text."""
    firsts = pl.DataFrame({"text": first_words(texts), "rows": rows}).drop_nulls()
    return dict(firsts.group_by("text").agg(pl.col("rows").sum()).iter_rows())


def hash_sketch(room: int, *hashes: Hashes | None) -> DistinctSketch:
    """Of the hashes of numbers, as many as a sketch with this room of them keeps."""
    sketch = DistinctSketch(room // ROOM_OF_A_HASH)
    for each in hashes:
        if each is not None:
            sketch.add(each)
    return sketch


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


def find_lists(column: ColumnSketch) -> ListSketch | None:
    """What is known of the lists of a column, also of one that holds no value; None where its values are no lists."""
    if column.lists is None and column.family == "empty":
        nothing = ColumnSketch(family="empty", rows=column.rows, missing=column.rows)
        return ListSketch(lengths=nothing, items=Frequencies(), norms=nothing)
    return column.lists


def _merge_lists(first: ColumnSketch, second: ColumnSketch) -> ListSketch | None:
    if first.lists is None and second.lists is None:
        return None
    parts = [find_lists(each) for each in (first, second)]
    return None if parts[0] is None or parts[1] is None else parts[0].merge(parts[1])
