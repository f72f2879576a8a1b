"""How the values of a column are spread in two tables, in bars that can be drawn side by side."""

from datetime import UTC, datetime

import numpy as np

from penstock.datasets.profile.compare import is_counted, shares_below
from penstock.datasets.types import Bar, ColumnProfile, Spread, Value
from penstock.stats.arrays import FloatArray

BARS = 16
_VALUES = 8
_SIGNIFICANT = 4  # digits of the ends of a bar


def spread_of(before: ColumnProfile, after: ColumnProfile, rows: tuple[int, int]) -> Spread:
    """Ranges of numbers and times in order, or the most frequent values and the rest; nothing where neither is known.

    Args:
        before: the column in one table.
        after: the same column in the other.
        rows: of either table.
    """
    held = [1 - column.nulls / max(count, 1) for column, count in zip((before, after), rows, strict=True)]
    if before.quantiles and after.quantiles and not (is_counted(before) and is_counted(after)):
        return Spread(_ranges(before, after, held), is_ranges=True)
    return Spread(_values(before, after, rows), is_ranges=False)


def _ranges(before: ColumnProfile, after: ColumnProfile, held: list[float]) -> tuple[Bar, ...]:
    grids = [np.asarray(column.quantiles) for column in (before, after)]
    low, high = _middle(grids)
    edges = np.linspace(low, high, BARS + 1)
    edges[0], edges[-1] = min(grid[0] for grid in grids), max(grid[-1] for grid in grids)
    shares = [np.diff(shares_below(grid, edges)[0], prepend=0.0)[1:] for grid in grids]
    for share, grid in zip(shares, grids, strict=True):
        share[0] += shares_below(grid, edges[:1])[0][0]
    is_time = before.kind in ("date", "datetime")
    return tuple(
        Bar(
            _range_label(edges[n], edges[n + 1], is_time=is_time),
            float(shares[0][n] * held[0]),
            float(shares[1][n] * held[1]),
        )
        for n in range(BARS)
    )


def _middle(grids: list[FloatArray]) -> tuple[float, float]:
    """Ends within which nearly all values lie, so that a few far away do not squeeze the rest into one bar."""
    low, high = min(grid[1] for grid in grids), max(grid[-2] for grid in grids)
    if low == high:
        low, high = min(grid[0] for grid in grids), max(grid[-1] for grid in grids)
    return (float(low), float(high)) if low < high else (float(low) - 0.5, float(high) + 0.5)


def _range_label(low: float, high: float, *, is_time: bool) -> str:
    if is_time:
        return f"{moment_text(low)} to {moment_text(high)}"
    return f"{low:.{_SIGNIFICANT}g} to {high:.{_SIGNIFICANT}g}"


def moment_text(seconds: float) -> str:
    """A moment of a quantile, in UTC; one that no calendar has stays a number."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.6g} s"


def _values(before: ColumnProfile, after: ColumnProfile, rows: tuple[int, int]) -> tuple[Bar, ...]:
    counts = [{top.value: top.rows for top in column.top} for column in (before, after)]
    total: dict[Value, float] = {}
    for mine, count in zip(counts, rows, strict=True):
        for value, held in mine.items():
            total[value] = total.get(value, 0.0) + held / max(count, 1)
    shown = sorted(total, key=lambda value: -total[value])[:_VALUES]
    bars = [
        Bar(str(value), *(mine.get(value, 0) / max(count, 1) for mine, count in zip(counts, rows, strict=True)))
        for value in shown
    ]
    rest = [
        1 - column.nulls / max(count, 1) - sum(mine.get(value, 0) for value in shown) / max(count, 1)
        for column, mine, count in zip((before, after), counts, rows, strict=True)
    ]
    if bars and max(rest) > 1e-9:
        bars.append(Bar("others", max(rest[0], 0.0), max(rest[1], 0.0)))
    return tuple(bars)
