"""How far the values of a column moved between two profiles."""

import numpy as np
from msgspec import Struct

from penstock.datasets.profile.column import TOP_VALUES
from penstock.datasets.profile.sample import SAMPLE_ROWS
from penstock.datasets.types import ColumnProfile, Value
from penstock.stats.arrays import FloatArray
from penstock.stats.drift import DriftTest, count_test, ks_from_distance

_GRID_ERROR = 0.01  # of a share that is read off a hundred quantiles
_REST = "\0rest"


class ColumnShift(Struct, frozen=True, kw_only=True):
    """How far a column moved.

    `distance` is between 0, the same spread of values, and 1, nothing in common: the largest gap between the two
    cumulative distributions (Kolmogorov-Smirnov) for numbers and times, half the sum of the differences in share
    (total variation) for other values; a difference in the share of missing values counts as well.
    """

    distance: float
    is_chance: bool  # whether the tests behind it see no difference at their level
    tests: tuple[DriftTest, ...] = ()


def compare_columns(
    before: ColumnProfile, after: ColumnProfile, rows: tuple[int, int], *, alpha: float = 0.001
) -> ColumnShift:
    """How far the values of a column moved, and whether chance alone would move them as far.

    Args:
        before: the column in the reference.
        after: the same column later.
        rows: of either table.
        alpha: how often chance may look like a move.

    Source: `ks_from_distance` and `count_test` of `stats.drift`, each at half the level where both are made.
    """
    if not all(rows):
        return ColumnShift(distance=float(rows[0] != rows[1]), is_chance=rows[0] == rows[1])
    if not _are_alike(before, after):
        return ColumnShift(distance=1.0, is_chance=False)
    if is_counted(before) and is_counted(after):
        return _compare_counts(before, after, rows, alpha)
    if before.quantiles and after.quantiles:
        return _compare_quantiles(before, after, rows, alpha)
    return _compare_counts(before, after, rows, alpha)


def is_counted(column: ColumnProfile) -> bool:
    """Whether the profile knows every value of the column with its rows."""
    return column.distinct is not None and column.kind != "number" and column.distinct <= TOP_VALUES


def _are_alike(before: ColumnProfile, after: ColumnProfile) -> bool:
    numbers = {"integer", "number"}
    kinds = {before.kind, after.kind}
    return len(kinds) == 1 or kinds <= numbers or "unknown" in kinds


def _compare_quantiles(before: ColumnProfile, after: ColumnProfile, rows: tuple[int, int], alpha: float) -> ColumnShift:
    grids = [np.asarray(column.quantiles) for column in (before, after)]
    places = np.unique(np.concatenate(grids))
    shares = [shares_below(grid, places) for grid in grids]
    gap = max(float(np.abs(old - new).max()) for old, new in zip(*shares, strict=True))
    held = [count - column.nulls for count, column in zip(rows, (before, after), strict=True)]
    sizes = [max(min(count, SAMPLE_ROWS), 1) for count in held]
    ks = ks_from_distance(max(gap - _GRID_ERROR, 0.0), *sizes, alpha=alpha / 2)
    missing = count_test(
        *({None: c.nulls, True: n} for c, n in zip((before, after), held, strict=True)), alpha=alpha / 2
    )
    gone = abs(before.nulls / rows[0] - after.nulls / rows[1])
    return ColumnShift(distance=max(gap, gone), is_chance=not (ks.drifted or missing.drifted), tests=(ks, missing))


def shares_below(grid: FloatArray, places: FloatArray) -> list[FloatArray]:
    """The share of values up to each place, and the share of those below it: equal values make a step."""
    steps = len(grid) - 1
    at = np.interp(places, grid, np.arange(len(grid)) / steps)
    below = at.copy()
    low, high = np.searchsorted(grid, places, "left"), np.searchsorted(grid, places, "right")
    tied = high - low > 1
    at[tied], below[tied] = (high[tied] - 1) / steps, low[tied] / steps
    return [at, below]


def _compare_counts(before: ColumnProfile, after: ColumnProfile, rows: tuple[int, int], alpha: float) -> ColumnShift:
    known = None if is_counted(before) and is_counted(after) else _named(before) & _named(after)
    counts = [_counts(column, total, known) for column, total in zip((before, after), rows, strict=True)]
    test = count_test(*counts, alpha=alpha)
    values = counts[0].keys() | counts[1].keys()
    apart = sum(abs(counts[0].get(value, 0) / rows[0] - counts[1].get(value, 0) / rows[1]) for value in values)
    return ColumnShift(distance=min(apart / 2, 1.0), is_chance=not test.drifted, tests=(test,))


def _named(column: ColumnProfile) -> set[Value]:
    return {top.value for top in column.top}


def _counts(column: ColumnProfile, rows: int, known: set[Value] | None) -> dict[Value, int]:
    """Rows by value; what only one side names counts to the rest."""
    counts: dict[Value, int] = {top.value: top.rows for top in column.top if known is None or top.value in known}
    rest = rows - column.nulls - sum(counts.values())
    return counts | {None: column.nulls} | ({_REST: rest} if rest > 0 else {})
