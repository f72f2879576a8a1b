"""Label delays: how long after their predictions outcomes come, counted by window and put together as a curve.

A delay is counted in buckets of equal ratio, 20 to a decade, so a curve is within 12 % of the age and adds up from
windows without reading a row. The time is event time on both ends: when the outcome happened, and when the prediction
was made.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

import polars as pl

from penstock.monitoring.types import DelayCounts, DelayCurve, SegmentDelays, Window
from penstock.stats.survival import Cohort, Incidence, kaplan_meier

BUCKETS_PER_DECADE = 20
MAXIMUM_SEGMENTS = 50  # values of a column that are counted apart in one window; the most frequent ones


def bucket_end_s(bucket: int) -> float:
    """The delay in seconds at which a bucket ends."""
    return 0.0 if bucket == 0 else float(10 ** ((bucket - 1) / BUCKETS_PER_DECADE))


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
        bucket = 0 if second <= 0 else max(1 + math.ceil(BUCKETS_PER_DECADE * math.log10(second) - 1e-9), 1)
        counts[bucket] = counts.get(bucket, 0) + 1
    return sorted(counts.items())


def count_segments(rows: pl.DataFrame, columns: Iterable[str]) -> dict[str, dict[str, SegmentDelays]]:
    """The same for each value of some input columns."""
    found: dict[str, dict[str, SegmentDelays]] = {}
    for column in columns:
        values = rows["inputs"].str.json_decode(pl.Struct({column: pl.String})).struct.field(column)
        apart = rows.with_columns(values.fill_null("").alias("value")).partition_by("value", maintain_order=True)
        largest = sorted(apart, key=lambda own: (-own.height, own["value"][0]))[:MAXIMUM_SEGMENTS]
        found[column] = {own["value"][0]: SegmentDelays(count_answered(own), count_delays(own)) for own in largest}
    return found


def find_curve(windows: Sequence[Window], as_of: datetime) -> Incidence:
    """The label-delay curve of all windows, as it can be known at a moment of event time."""
    return kaplan_meier(
        [
            _cohort(window.maturity.answered, window.maturity.delays, window, as_of)
            for window in windows
            if window.maturity is not None
        ]
    )


def list_curves(deployment: str, windows: Sequence[Window], as_of: datetime, column: str = "") -> list[DelayCurve]:
    """The curve of all predictions; with a column those of its values, the one with most predictions first."""
    parts: dict[str, list[tuple[SegmentDelays, Window]]] = {}
    for window in windows:
        if window.maturity is None:
            continue
        whole = {"": SegmentDelays(window.maturity.answered, window.maturity.delays)}
        for value, own in (window.maturity.segments.get(column, {}) if column else whole).items():
            parts.setdefault(value, []).append((own, window))
    curves = []
    for value, held in parts.items():
        curve = kaplan_meier([_cohort(own.answered, own.delays, window, as_of) for own, window in held])
        curves.append(
            DelayCurve(
                deployment=deployment,
                column=column,
                value=value,
                ages_s=list(curve.ages),
                known=list(curve.shares),
                errors=list(curve.errors),
                predictions=sum(own.answered for own, _ in held),
                outcomes=sum(count for own, _ in held for _, count in own.delays),
                followed_s=curve.followed,
                is_complete=curve.is_complete,
                as_of=as_of,
            )
        )
    return sorted(curves, key=lambda curve: (-curve.predictions, curve.value))


def _cohort(answered: int, delays: DelayCounts, window: Window, as_of: datetime) -> Cohort:
    events = [(bucket_end_s(bucket), count) for bucket, count in delays]
    return Cohort(answered, events, (as_of - window.end).total_seconds())
