"""Charts of what was measured window by window: performance beside its estimate, outcomes, latency and failures."""

import itertools
from collections.abc import Callable, Sequence

from markupsafe import Markup

from penstock.core.project.types import Project
from penstock.monitoring.types import Alert, RevisionFigures, Window
from penstock.server.web.drawings.charts import EMPTY, Bar, Mark, Point, Series, line_chart
from penstock.server.web.drawings.plot import HALF, MAP, NARROW, Area, on_either
from penstock.server.web.words.windows import middle, span, tell_window, window_page

PERCENT = 100
NARROW_WINDOWS = 12  # on a phone
REVISIONS_SHOWN = 6  # the newest


def draw_performance(
    windows: Sequence[Window],
    alerts: Sequence[Alert],
    project: Project | None,
    *,
    area: Area = MAP,
    told: Window | None = None,
) -> Markup:
    """The measured metric of each window with its interval, the estimate beside it, and who answered.

    A narrow screen shows the newest windows, or those around the one that is told about.

    Args:
        windows: oldest first.
        alerts: marked at their windows.
        project: whose bar is drawn.
        area: how large.
        told: a window that is told about; it is marked.
    """
    near = around(windows, told)
    wide, narrow = (_draw(held, alerts, project, size, told) for held, size in ((windows, area), (near, NARROW)))
    return on_either(wide, narrow) if wide != EMPTY else EMPTY


def around(windows: Sequence[Window], told: Window | None) -> Sequence[Window]:
    """As many windows as fit on a narrow screen: the newest, or those around one that is told about."""
    place = len(windows) if told is None else windows.index(told) + NARROW_WINDOWS // 2
    return windows[: max(place, NARROW_WINDOWS)][-NARROW_WINDOWS:]


def _draw(
    windows: Sequence[Window], alerts: Sequence[Alert], project: Project | None, area: Area, told: Window | None
) -> Markup:
    measured = [(w, w.performance) for w in windows if w.performance is not None and w.performance.value is not None]
    points = [
        Point(middle(w), p.value, p.low, p.high, _tell_measured(w), _page(w))
        for w, p in measured
        if p.value is not None
    ]
    metric = measured[-1][1].metric if measured else ""
    estimates = [
        Point(middle(w), found.value, found.low, found.high, f"{tell_window(w)}, version {w.version}", _page(w))
        for w in windows
        if (found := w.estimate) is not None and found.value is not None
    ]
    series = [Series(f"{metric}, measured" if estimates else metric, points)]
    if estimates:
        series.append(Series("estimated before outcomes are known", estimates, is_guess=True))
    return line_chart(
        series,
        title=f"{metric} by window",
        unit=metric,
        area=area,
        marks=[*_takeovers(windows), *_raised(alerts, windows), *_told(told)],
        bar=_bar(project, metric),
        span=span(windows),
        most=_most(points),
    )


def _most(points: Sequence[Point]) -> float | None:
    """A metric whose values and intervals never leave 0 to 1 has no axis beyond 1."""
    ends = [end for point in points for end in (point.value, point.low, point.high) if end is not None]
    return 1.0 if ends and min(ends) >= 0 and max(ends) <= 1 else None


def draw_traffic(windows: Sequence[Window], *, area: Area = HALF) -> Markup:
    """Predictions of each window, and those whose outcome is known."""
    series = [
        Series("predictions", [Point(middle(w), w.rows, note=tell_window(w)) for w in windows]),
        Series("with an outcome", [Point(middle(w), w.outcomes, note=tell_window(w)) for w in windows]),
    ]
    return line_chart(
        series, title="Predictions by window", unit="predictions", area=area, span=span(windows), from_zero=True
    )


def draw_coverage(windows: Sequence[Window], *, area: Area = HALF) -> Markup:
    """The share of each window's predictions whose outcome is known, and the share that is expected by now."""
    known = [Point(middle(w), PERCENT * w.outcomes / w.rows, note=tell_window(w)) for w in windows if w.rows]
    expected = [
        Point(middle(w), PERCENT * held.expected, note=tell_window(w))
        for w in windows
        if (held := w.maturity) is not None and held.expected is not None
    ]
    series = [Series("outcome known", known)]
    if expected:
        series.append(Series("expected by now", expected, is_guess=True))
    return line_chart(
        series,
        title="Outcomes by window",
        unit="% of predictions",
        area=area,
        span=span(windows),
        from_zero=True,
        most=PERCENT,
    )


def draw_latency(windows: Sequence[Window], *, area: Area = HALF) -> Markup:
    """How long 99 of 100 requests took at most, by revision."""
    return _draw_revisions(windows, "99 of 100 within", "milliseconds", lambda held: held.latency_p99_ms, area)


def draw_failures(windows: Sequence[Window], *, area: Area = HALF) -> Markup:
    """Requests that failed or were answered by a fallback, by revision."""

    def read(held: RevisionFigures) -> float | None:
        return PERCENT * (held.errors + held.fallbacks) / held.rows if held.rows else None

    return _draw_revisions(windows, "Failed", "% of requests", read, area)


def _draw_revisions(
    windows: Sequence[Window], title: str, unit: str, read: Callable[[RevisionFigures], float | None], area: Area
) -> Markup:
    numbers = sorted({held.revision for window in windows for held in window.revisions})[-REVISIONS_SHOWN:]
    series = [Series(f"revision {number}", _points(windows, number, read)) for number in numbers]
    return line_chart(series, title=title, unit=unit, area=area, span=span(windows), from_zero=True)


def _points(windows: Sequence[Window], revision: int, read: Callable[[RevisionFigures], float | None]) -> list[Point]:
    return [
        Point(middle(window), value, note=tell_window(window))
        for window in windows
        for held in window.revisions
        if held.revision == revision and (value := read(held)) is not None
    ]


def _tell_measured(window: Window) -> str:
    young = "" if window.is_comparable else ", young: more outcomes are to come"
    return f"{tell_window(window)}, version {window.version}{young}"


def _page(window: Window) -> str:
    return window_page(window.deployment, window.start)


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
        Mark(middle(by_start[alert.window_start]), "alert", alert.kind, f"{alert.kind} alert: {alert.summary}")
        for alert in alerts
        if alert.window_start in by_start
    ]


def _told(window: Window | None) -> list[Mark]:
    return [] if window is None else [Mark(middle(window), "here", "this window", tell_window(window))]


def _bar(project: Project | None, metric: str) -> Bar | None:
    watched = project.monitor.performance if project else None
    if watched is None or watched.metric != metric:
        return None
    if watched.at_least is not None:
        return Bar(watched.at_least, f"at least {watched.at_least:g}")
    return None if watched.at_most is None else Bar(watched.at_most, f"at most {watched.at_most:g}")
