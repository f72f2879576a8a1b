"""Histories of metrics as arrays: a hundred thousand points read, turned and thinned without an object for each."""

from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from penstock.core.ids import RunId
from penstock.storage.records import each, fetch
from penstock.storage.transaction import Transaction
from penstock.tracking.tables import to_sortable

_ALL_BUT_SIGN = np.int64(0x7FFF_FFFF_FFFF_FFFF)
_POINTS_OF_A_STEP = 8
_FIND = "SELECT s.number FROM metric_series s JOIN runs r ON r.number = s.run WHERE r.id = ? AND s.key = ?"
_READ = "SELECT at, step, value FROM metric_points WHERE series = ?"
_AFTER = " AND (at, step, value) > (?, ?, ?)"
_ORDER = " ORDER BY at, step, value"


class History(Struct, eq=False):
    """Points of one metric of one run by time, step and value; the arrays are of one length."""

    at: NDArray[np.int64]  # microseconds since 1970
    steps: NDArray[np.int64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.at)

    def at_places(self, places: NDArray[np.int64]) -> "History":
        """Some of the points."""
        return History(self.at[places], self.steps[places], self.values[places])

    def within_steps(self, first: int, last: int) -> "History":
        """The points of these steps, both included."""
        return self.at_places(np.flatnonzero((self.steps >= first) & (self.steps <= last)))

    def place(self, number: int) -> tuple[int, int, int]:
        """Where a point stands: give it as `after` to read on behind it."""
        return int(self.at[number]), int(self.steps[number]), to_sortable(float(self.values[number]))


def read_history(
    tx: Transaction, run_id: RunId, key: str, limit: int | None = None, after: tuple[int, int, int] | None = None
) -> History:
    """Points of a metric by time, step and value; none when the run has no such metric.

    Args:
        tx: a transaction or snapshot.
        run_id: the run.
        key: of the metric.
        limit: at most so many; None: all.
        after: only those behind this place.
    """
    found = fetch(tx.connection, _FIND, [run_id, key])
    if not found:
        return _to_history([])
    values = [found[0][0], *(after or ())]
    text = _READ + (_AFTER if after else "") + _ORDER + ("" if limit is None else f" LIMIT {limit:d}")
    return _to_history(each(tx.connection, text, values))


def thin_out(history: History, most: int) -> History:
    """At most so many points, evenly spread over steps, that show the same curve: of each interval the first, the
    lowest, the highest and the last point; NaN and infinities count as points of their own kind and stay.

    Source: Jugel et al., M4: a visualization-oriented time series data aggregation, 2014.
    """
    order = np.lexsort((history.at, history.steps))
    if len(history) <= most:
        return history.at_places(order)
    steps, values = history.steps[order].astype(np.float64), history.values[order]
    buckets = max(1, most // 4)
    span = max(steps[-1] - steps[0], 1.0)
    bucket = np.minimum(((steps - steps[0]) / span * buckets).astype(np.int64), buckets - 1)
    starts = np.flatnonzero(np.r_[True, bucket[1:] != bucket[:-1]])
    ends = np.r_[starts[1:], len(bucket)] - 1
    low = _places_of_extremes(np.where(np.isnan(values), np.inf, values), bucket, starts)
    high = _places_of_extremes(np.where(np.isnan(values), np.inf, -values), bucket, starts)
    places = np.unique(np.concatenate([starts, ends, low, high]))
    return history.at_places(order[places])


def thin_out_alike(histories: Sequence[History], most: int) -> list[History]:
    """The points of the same steps of each history, some so many steps spread evenly over those that any has.

    Each history keeps its own first and last step as well, so that no curve is cut short; one with very many points
    at a step keeps no more of them than a chart can show.
    """
    steps = np.unique(np.concatenate([held.steps for held in histories]))
    if len(steps) > most:
        places = (np.arange(most) * (len(steps) / most)).astype(np.int64)
        ends = [end for held in histories if len(held) for end in (held.steps.min(), held.steps.max())]
        steps = np.unique(np.concatenate([steps[places], np.array(ends, dtype=np.int64)]))
    chosen = [held.at_places(np.flatnonzero(np.isin(held.steps, steps))) for held in histories]
    return [thin_out(held, max(len(steps) * _POINTS_OF_A_STEP, most)) for held in chosen]


def _places_of_extremes(
    values: NDArray[np.float64], bucket: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The place of the smallest value of each bucket."""
    lowest = np.minimum.reduceat(values, starts)
    counts = np.diff(np.r_[starts, len(bucket)])
    is_lowest = np.flatnonzero(values == np.repeat(lowest, counts))
    _, first = np.unique(bucket[is_lowest], return_index=True)
    places: NDArray[np.int64] = is_lowest[first]
    return places


def _to_history(rows: Iterable[tuple[int, ...]]) -> History:
    table = np.fromiter(chain.from_iterable(rows), dtype=np.int64).reshape(-1, 3)
    at, steps, bits = (np.ascontiguousarray(table[:, column]) for column in range(3))
    return History(at, steps, np.where(bits >= 0, bits, bits ^ _ALL_BUT_SIGN).view(np.float64))
