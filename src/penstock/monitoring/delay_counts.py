"""Counts the label delays of a window's predictions, in the buckets of `monitoring.delays`."""

import math
from collections.abc import Iterable

import polars as pl

from penstock.monitoring.delays import BUCKETS_PER_DECADE
from penstock.monitoring.types import DelayCounts, SegmentDelays

MAXIMUM_SEGMENTS = 50  # values of a column that are counted apart in one window; the most frequent ones


def count_answered(rows: pl.DataFrame) -> int:
    """How many predictions of a window an outcome can come for: those that were answered."""
    return int((rows["status"] != "error").sum())


def count_delays(rows: pl.DataFrame) -> DelayCounts:
    """How many outcomes came after which delay; one that happened before its prediction came at once.

    Args:
        rows: predictions with `at`, `status`, `outcome` and `outcome_at`.
    """
    known = rows.filter(pl.col("outcome").is_not_null(), pl.col("status") != "error")
    seconds = (known["outcome_at"] - known["at"]).dt.total_microseconds() / 1e6
    counts: dict[int, int] = {}
    for second in seconds:
        bucket = find_bucket(second)
        counts[bucket] = counts.get(bucket, 0) + 1
    return sorted(counts.items())


def find_bucket(delay_s: float) -> int:
    """The bucket of a delay in seconds; that of none is 0, and that of less than a second is 1."""
    return 0 if delay_s <= 0 else max(1 + math.ceil(BUCKETS_PER_DECADE * math.log10(delay_s) - 1e-9), 1)


def count_segments(rows: pl.DataFrame, columns: Iterable[str]) -> dict[str, dict[str, SegmentDelays]]:
    """The same for each value of some input columns."""
    found: dict[str, dict[str, SegmentDelays]] = {}
    for column in columns:
        values = rows["inputs"].str.json_decode(pl.Struct({column: pl.String})).struct.field(column)
        apart = rows.with_columns(values.fill_null("").alias("value")).partition_by("value", maintain_order=True)
        largest = sorted(apart, key=lambda own: (-own.height, own["value"][0]))[:MAXIMUM_SEGMENTS]
        found[column] = {own["value"][0]: SegmentDelays(count_answered(own), count_delays(own)) for own in largest}
    return found
