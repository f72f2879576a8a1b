"""Metric curves of runs: read whole, smoothed, cut to a range, thinned to what a chart can show, and drawn."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from markupsafe import Markup
from msgspec import Struct
from numpy.typing import NDArray

from penstock.core.errors import InvalidInputError
from penstock.server.web.drawings.charts import EMPTY, Point, Series, line_chart
from penstock.server.web.drawings.plot import WIDE, Area
from penstock.server.web.sources.history_cache import HistoryCache
from penstock.storage.transaction import Transaction
from penstock.tracking.histories import History, thin_out
from penstock.tracking.types import Run

MOST_POINTS = 800  # of a curve; a chart is about a thousand pixels wide
SMOOTHINGS = (1, 10, 100, 1_000, 10_000)
_SECOND = 1_000_000  # microseconds
_LARGEST, _SMALLEST = 1e290, 1e-290  # of what is drawn; beyond, sums and axes would leave the floats


class Drawing(Struct, frozen=True, kw_only=True):
    """How curves are drawn; the address of a page says so.

    Attributes:
        x: by step, or by seconds since the first point of each curve.
        scale: of the values.
        smooth: the mean of so many points around each.
        first: where the axis of steps or seconds begins; None: with the first point.
        last: where it ends.
    """

    x: Literal["step", "time"] = "step"
    scale: Literal["linear", "log"] = "linear"
    smooth: int = 1
    first: float | None = None
    last: float | None = None


class Curve(Struct, frozen=True):
    """One metric of some runs.

    Attributes:
        points: of all curves together, before they were thinned.
        hidden: values that a logarithm does not have, or that are not finite.
    """

    key: str
    chart: Markup
    points: int
    hidden: int


class _Line(Struct, eq=False):
    """A curve on its way to the chart."""

    places: NDArray[np.float64]
    values: NDArray[np.float64]


def draw_curve(
    tx: Transaction, histories: HistoryCache, runs: Sequence[Run], key: str, drawing: Drawing, area: Area = WIDE
) -> Curve:
    """The curves of one metric, a line a run."""
    drawn, points, hidden = [], 0, 0
    for run in runs:
        history = histories.read(tx, run.id, key)
        points += len(history)
        line, left_out = _prepare(history, drawing)
        hidden += left_out
        drawn.append(Series(run.name, _to_points(line)))
    chart = line_chart(
        drawn,
        title=f"{key} of {', '.join(run.name for run in runs)}",
        area=area,
        axis="step" if drawing.x == "step" else "seconds",
        is_log=drawing.scale == "log",
    )
    return Curve(key, chart if any(one.points for one in drawn) else EMPTY, points, hidden)


def read_drawing(asked: Mapping[str, str]) -> Drawing:
    """How an address wants curves drawn.

    Raises:
        InvalidInputError: a number that is none.
    """
    smooth = _read_number(asked, "smooth") or 1
    return Drawing(
        x="time" if asked.get("x") == "time" else "step",
        scale="log" if asked.get("scale") == "log" else "linear",
        smooth=int(min(max(smooth, 1), SMOOTHINGS[-1])),
        first=_read_number(asked, "first"),
        last=_read_number(asked, "last"),
    )


def _read_number(asked: Mapping[str, str], name: str) -> float | None:
    text = asked.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidInputError(f"{name}: {text[:40]!r} is no number", hint="write one such as 1000", field=name)
    return number


def _prepare(history: History, drawing: Drawing) -> tuple[_Line, int]:
    """A history in its order, smoothed, within the range and thinned; and how many values cannot be shown."""
    axis = history.steps if drawing.x == "step" else history.at
    order = np.lexsort((history.at, axis))
    axis, values = axis[order], history.values[order]
    is_shown = np.abs(values) < _LARGEST  # False for NaN
    if drawing.scale == "log":
        is_shown &= values > _SMALLEST
    axis, values = axis[is_shown], smooth_out(values[is_shown], drawing.smooth)
    hidden = len(is_shown) - len(axis)
    if not len(axis):
        return _Line(axis.astype(np.float64), values), hidden
    start, unit = (0, 1) if drawing.x == "step" else (int(axis[0]), _SECOND)
    low, high = _to_axis(drawing.first, start, unit), _to_axis(drawing.last, start, unit)
    is_inside = (axis >= (axis[0] if low is None else low)) & (axis <= (axis[-1] if high is None else high))
    axis, values = axis[is_inside], values[is_inside]
    thinned = thin_out(History(np.arange(len(axis)), axis, values), MOST_POINTS) if len(axis) else None
    if thinned is None:
        return _Line(axis.astype(np.float64), values), hidden
    return _Line((thinned.steps - start) / unit, thinned.values), hidden


def _to_axis(place: float | None, start: int, unit: int) -> float | None:
    return None if place is None else place * unit + start


def smooth_out(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The mean of so many values around each; at the ends of as many as there are."""
    if window <= 1 or len(values) < 2:
        return values
    count = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(count)
    low = np.maximum(places - (window - 1) // 2, 0)
    high = np.minimum(places + window // 2 + 1, count)
    means: NDArray[np.float64] = (sums[high] - sums[low]) / (high - low)
    return means


def _to_points(line: _Line) -> list[Point]:
    return [Point(place, value) for place, value in zip(line.places.tolist(), line.values.tolist(), strict=True)]
