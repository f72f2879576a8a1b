"""What pages draw of monitoring: performance and traffic over event time, and the drift of each column beside them."""

import itertools
from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup

from penstock.core.project.types import Project
from penstock.monitoring.types import Alert, Window
from penstock.server.web.drawings.charts import Bar, Mark, Point, Series, line_chart
from penstock.server.web.drawings.heat import Cell, Row, heat_map
from penstock.server.web.drawings.plot import HALF, WIDE, Area
from penstock.server.web.words.formats import format_p_value

WINDOWS_SHOWN = 60
TONES = ((1e-4, "odder"), (1e-2, "odd"))  # p-values below which a cell is tinted


def draw_performance(
    windows: Sequence[Window], alerts: Sequence[Alert], project: Project | None, *, area: Area = WIDE
) -> Markup:
    """The measured metric of each window with its interval, and where the version that answers changed."""
    measured = [(w, w.performance) for w in windows if w.performance is not None and w.performance.value is not None]
    points = [
        Point(_middle(w), p.value, p.low, p.high, f"{_when(w)}, version {w.version}")
        for w, p in measured
        if p.value is not None
    ]
    metric = measured[-1][1].metric if measured else ""
    return line_chart(
        [Series(metric, points)],
        title=f"{metric} by window",
        unit=metric,
        area=area,
        marks=[*_takeovers(windows), *_raised(alerts, windows)],
        bar=_bar(project, metric),
        span=_span(windows),
    )


def draw_traffic(windows: Sequence[Window], *, area: Area = HALF) -> Markup:
    """Predictions of each window, and those whose outcome is known."""
    series = [
        Series("predictions", [Point(_middle(w), w.rows, note=_when(w)) for w in windows]),
        Series("with an outcome", [Point(_middle(w), w.outcomes, note=_when(w)) for w in windows]),
    ]
    return line_chart(
        series, title="Predictions by window", unit="predictions", area=area, span=_span(windows), from_zero=True
    )


def draw_drift(windows: Sequence[Window]) -> Markup:
    """Each watched column over the windows; a deeper tone is a smaller p-value, red is beyond the budget."""
    columns = sorted({column.column for window in windows for column in window.drift if column.test != "none"})
    rows = [Row(column, [_cell(window, column) for window in windows]) for column in columns]
    return heat_map(rows, title="Drift by column and window")


def _middle(window: Window) -> datetime:
    return window.start + (window.end - window.start) / 2


def _span(windows: Sequence[Window]) -> tuple[datetime, datetime] | None:
    return (windows[0].start, windows[-1].end) if windows else None


def _when(window: Window) -> str:
    """A window as people say it: its day, or where it is shorter its hour; two ends for more than a day."""
    seconds = (window.end - window.start).total_seconds()
    if seconds < 86_400:
        return f"{window.start.day} {window.start:%b %Y, %H:%M} to {window.end:%H:%M}"
    if seconds == 86_400:
        return f"{window.start.day} {window.start:%b %Y}"
    last = window.end - (window.end - window.start) / 1000
    return f"{window.start.day} {window.start:%b} to {last.day} {last:%b %Y}"


def _takeovers(windows: Sequence[Window]) -> list[Mark]:
    marks = []
    for before, after in itertools.pairwise(windows):
        if before.version is not None and after.version is not None and before.version != after.version:
            told = f"version {after.version} took over from version {before.version}"
            marks.append(Mark(after.start, "takeover", f"version {after.version}", told))
    return marks


def _raised(alerts: Sequence[Alert], windows: Sequence[Window]) -> list[Mark]:
    by_start = {window.start: window for window in windows}
    return [
        Mark(_middle(by_start[alert.window_start]), "alert", alert.kind, f"{alert.kind} alert: {alert.summary}")
        for alert in alerts
        if alert.window_start in by_start
    ]


def _bar(project: Project | None, metric: str) -> Bar | None:
    watched = project.monitor.performance if project else None
    if watched is None or watched.metric != metric:
        return None
    if watched.at_least is not None:
        return Bar(watched.at_least, f"at least {watched.at_least:g}")
    return None if watched.at_most is None else Bar(watched.at_most, f"at most {watched.at_most:g}")


def _cell(window: Window, name: str) -> Cell:
    found = next((column for column in window.drift if column.column == name), None)
    when = f"{name}, {_when(window)}"
    if found is None or found.p_value is None:
        why = (found.note if found else window.drift_note) or "not compared"
        return Cell(window.start, window.end, "none", f"{when}: {why}")
    tone = "drifted" if found.drifted else next((tone for bound, tone in TONES if found.p_value < bound), "calm")
    distance = "" if found.distance is None else f", distance {found.distance:.3f}"
    new = f", {found.new_share:.0%} new to the model" if found.new_share >= 0.01 else ""
    told = "drifted, " if found.drifted else ""
    return Cell(window.start, window.end, tone, f"{when}: {told}p {_p_text(found.p_value)}{distance}{new}")


def _p_text(p_value: float) -> str:
    text = format_p_value(p_value)
    return text if text.startswith("<") else f"= {text}"
