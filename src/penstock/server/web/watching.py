"""What pages draw of monitoring: performance over time, traffic, and a grid of drift by column and window."""

import itertools
import math
from collections.abc import Sequence

from msgspec import Struct

from penstock.monitoring.types import Window
from penstock.server.web.charts import Mark, Point, Series
from penstock.serving.types import Rollout

LEVELS = ((1e-4, "l2"), (1e-2, "l1"))  # p-values below which a cell is tinted


class DriftCell(Struct, frozen=True):
    """One column in one window."""

    tone: str
    text: str  # shown when pointed at


class DriftRow(Struct, frozen=True):
    """One column over the windows."""

    column: str
    cells: list[DriftCell]


def performance_series(windows: Sequence[Window]) -> list[Series]:
    """The measured metric of each window with its interval."""
    measured = [(w, w.performance) for w in windows if w.performance is not None and w.performance.value is not None]
    if not measured:
        return []
    points = [Point(w.start, p.value, p.low, p.high) for w, p in measured if p.value is not None]
    return [Series(measured[-1][1].metric, points)]


def performance_marks(rollouts: Sequence[Rollout], windows: Sequence[Window]) -> list[Mark]:
    """Where the model that answers changed, in event time."""
    marks = []
    for before, after in itertools.pairwise(windows):
        if before.version is not None and after.version is not None and before.version != after.version:
            marks.append(Mark(after.start, f"version {after.version} took over from version {before.version}"))
    return marks


def traffic_series(windows: Sequence[Window]) -> list[Series]:
    """Predictions of each window, and those with an outcome."""
    return [
        Series("predictions", [Point(w.start, w.rows) for w in windows]),
        Series("with an outcome", [Point(w.start, w.outcomes) for w in windows]),
    ]


def drift_grid(windows: Sequence[Window]) -> list[DriftRow]:
    """Each watched column over the windows; a deeper tone is a smaller p-value, red is beyond the budget."""
    columns = sorted({column.column for window in windows for column in window.drift if column.test != "none"})
    return [DriftRow(column, [_cell(window, column) for window in windows]) for column in columns]


def _cell(window: Window, name: str) -> DriftCell:
    found = next((column for column in window.drift if column.column == name), None)
    when = f"{name}, window of {window.start:%d %b %Y}"
    if found is None or found.p_value is None:
        return DriftCell("", f"{when}: not compared")
    distance = 0.0 if found.distance is None else found.distance
    text = f"{when}: p = {_p_text(found.p_value)}, distance {distance:.3f}{'; drifted' if found.drifted else ''}"
    if found.drifted:
        return DriftCell("l3", text)
    return DriftCell(next((tone for bound, tone in LEVELS if found.p_value < bound), ""), text)


def _p_text(p_value: float) -> str:
    return f"{p_value:.3g}" if p_value > 0 and math.isfinite(p_value) else "0"
