"""What is known of one column while its values pass by."""

import math
from typing import Any

import numpy as np
import polars as pl

from penstock.datasets.frames.values import shorten, to_value
from penstock.datasets.schema import kind_of
from penstock.datasets.types import ColumnProfile, TopValue
from penstock.stats.arrays import FloatArray
from penstock.stats.sketches.distinct import DistinctSketch

TOP_VALUES = 20
QUANTILES = 101  # the smallest, the 1st to the 99th percentile, the largest
_COUNTED = 10_000  # different values up to which each is counted
_LONG_TEXT = 256  # bytes on average; longer texts are told apart by their hash alone
_SAMPLED_TEXT = 201  # characters
_LEAST_SEEN = 20  # rows of the sample that a value must have to be called frequent


class ColumnGatherer:
    """Asks each batch for a few numbers of one column, and adds them up."""

    def __init__(self, name: str, dtype: pl.DataType, hashes: int) -> None:
        self.name = name
        self.kind = kind_of(dtype)
        self.is_comparable = self.kind not in ("list", "other", "unknown")
        self._is_float = dtype.is_float()
        self._is_number = self.kind in ("integer", "number")
        self._nulls = 0
        self._held = 0
        self._mean = 0.0
        self._squares = 0.0  # sum of the squared distances from the mean
        self._ends: tuple[Any, Any] = (None, None)
        self._counts: pl.DataFrame | None = pl.DataFrame(schema={"value": dtype, "rows": pl.UInt32})
        self._sketch = DistinctSketch(hashes)
        self._repeats = False  # whether most values of a batch stand there more than once

    def ask(self, rows: int) -> dict[str, pl.Expr]:
        """Expressions with one value each, by the name under which `take` knows them."""
        values = self._values()
        asked = {"nulls": values.null_count(), "rows": pl.lit(rows)}
        if not self.is_comparable:
            return asked
        asked |= {"low": values.min(), "high": values.max()}
        if self._is_number or self.kind == "boolean":
            asked["mean"] = values.mean()
        if self._is_number:
            asked["variance"] = values.var(ddof=0)
        if self.kind == "text":
            asked["length"] = values.str.len_bytes().mean()
        if self._counts is not None:
            asked["counts"] = values.drop_nulls().value_counts(name="rows").implode()
        else:
            hashes = values.drop_nulls().hash(seed=11)
            hashes = hashes.filter(hashes <= int(self._sketch.limit))
            asked["hashes"] = (hashes.unique() if self._repeats else hashes).implode()
        return asked

    def take(self, answers: dict[str, Any]) -> None:
        """Add what a batch answered."""
        held = answers["rows"] - answers["nulls"]
        self._nulls += answers["nulls"]
        if not self.is_comparable or not held:
            return
        low, high = self._ends
        self._ends = (
            answers["low"] if low is None else min(low, answers["low"]),
            answers["high"] if high is None else max(high, answers["high"]),
        )
        self._add_moments(held, answers.get("mean"), answers.get("variance"))
        if "counts" in answers:
            self._count(answers["counts"], answers.get("length") or 0.0)
        else:
            self._sketch.add(answers["hashes"].to_numpy())

    def sampled(self) -> pl.Expr:
        """What the sample of rows keeps of this column."""
        values = self._values()
        return values.str.head(_SAMPLED_TEXT) if self.kind == "text" else values

    def profile(self, sample: pl.DataFrame | None, rows: int) -> ColumnProfile:
        """What the column looks like.

        Args:
            sample: what `sampled` gave of the rows of the sample; None when there were no rows.
            rows: of the whole table.
        """
        profile = ColumnProfile(name=self.name, kind=self.kind, nulls=self._nulls)
        if not self.is_comparable:
            return profile
        seen = pl.Series(dtype=pl.Null) if sample is None else sample.get_column(self.name)
        has_mean = (self._is_number or self.kind == "boolean") and self._held
        return ColumnProfile(
            name=self.name,
            kind=self.kind,
            nulls=self._nulls,
            distinct=min(self._sketch.count(), self._held) if self._counts is None else self._counts.height,
            minimum=shorten(to_value(self._ends[0])),
            maximum=shorten(to_value(self._ends[1])),
            mean=_finite(self._mean) if has_mean else None,
            std=self._deviation(),
            top=self._top(seen, rows),
            quantiles=self._quantiles(seen),
        )

    def _values(self) -> pl.Expr:
        return pl.col(self.name).fill_nan(None) if self._is_float else pl.col(self.name)

    def _add_moments(self, held: int, mean: float | None, variance: float | None) -> None:
        """Add the moments of two groups of values. Source: Chan, Golub and LeVeque 1983."""
        if mean is not None:
            total, apart = self._held + held, mean - self._mean
            self._squares += (variance or 0.0) * held + apart**2 * self._held * held / total
            self._mean += apart * held / total
        self._held += held

    def _count(self, counts: pl.Series, length: float) -> None:
        assert self._counts is not None
        fresh = counts.struct.unnest()
        fresh.columns = ["value", "rows"]
        both = pl.concat([self._counts, fresh.cast({"rows": pl.UInt32})])
        self._counts = both.group_by("value").agg(pl.col("rows").cast(pl.UInt64).sum().cast(pl.UInt32))
        if self._counts.height > _COUNTED or length > _LONG_TEXT:
            self._sketch.add(self._counts.get_column("value").hash(seed=11).to_numpy())
            self._repeats = self._counts.height < self._held / 2
            self._counts = None

    def _deviation(self) -> float | None:
        if not self._is_number or self._held < 2:
            return None
        return _finite(math.sqrt(max(self._squares, 0.0) / (self._held - 1)))

    def _top(self, seen: pl.Series, rows: int) -> tuple[TopValue, ...]:
        if self.kind == "number":
            return ()
        scale, least = 1.0, 1
        counts = self._counts
        if counts is None:
            scale, least = rows / max(len(seen), 1), _LEAST_SEEN if len(seen) < rows else 1
            counts = seen.drop_nulls().value_counts(name="rows")
            counts.columns = ["value", "rows"]
        counts = counts.filter(pl.col("rows") >= least).sort(["rows", "value"], descending=[True, False])
        return tuple(
            TopValue(shorten(to_value(value)), round(count * scale))
            for value, count in counts.head(TOP_VALUES).iter_rows()
        )

    def _quantiles(self, seen: pl.Series) -> tuple[float, ...]:
        """Of numbers, and of times in seconds since 1970."""
        if not (self._is_number or self.kind in ("date", "datetime")) or not self._held:
            return ()
        found = as_numbers(seen)
        ends = [_only(as_numbers(pl.Series([end], dtype=seen.dtype, strict=False))) for end in self._ends]
        if not len(found) or None in ends:
            return ()
        grid = np.quantile(found, np.linspace(0.0, 1.0, QUANTILES)).tolist()
        return (ends[0] or 0.0, *grid[1:-1], ends[1] or 0.0)


def as_numbers(values: pl.Series) -> FloatArray:
    """The finite values of a column of numbers or times as floats; times are seconds since 1970."""
    held = values.drop_nulls()
    if isinstance(held.dtype, pl.Date | pl.Datetime):
        held = held.cast(pl.Datetime("us")).cast(pl.Int64) / 1e6
    numbers: FloatArray = held.cast(pl.Float64).to_numpy()
    finite: FloatArray = numbers[np.isfinite(numbers)]
    return finite


def _only(numbers: FloatArray) -> float | None:
    return float(numbers[0]) if len(numbers) else None


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
