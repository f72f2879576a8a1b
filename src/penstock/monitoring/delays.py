"""Label delays: how long after their predictions outcomes come, counted by window and put together as a curve.

A delay is counted in buckets of equal ratio, 20 to a decade, so a curve is within 12 % of the age and adds up from
windows without reading a row. The time is event time on both ends: when the outcome happened, and when the prediction
was made.
"""

from collections.abc import Sequence
from datetime import datetime

from penstock.monitoring.types import DelayCounts, DelayCurve, SegmentDelays, Window
from penstock.stats.survival import Cohort, Incidence, kaplan_meier

BUCKETS_PER_DECADE = 20


def bucket_end_s(bucket: int) -> float:
    """The delay in seconds at which a bucket ends."""
    return 0.0 if bucket == 0 else float(10 ** ((bucket - 1) / BUCKETS_PER_DECADE))


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
