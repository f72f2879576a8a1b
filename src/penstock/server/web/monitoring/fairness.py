"""Fairness over windows: a line for each group of a sensitive column, and the gap between the best and the worst."""

from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup
from msgspec import Struct

from penstock.monitoring.types import GroupPerformance, Performance, Window
from penstock.server.web.drawings.charts import Point, Series, line_chart
from penstock.server.web.drawings.plot import HALF
from penstock.server.web.words.windows import middle, span, tell_window

GROUPS_SHOWN = 6  # of a column, those with most rows


class FairnessView(Struct, frozen=True):
    """One sensitive column over the windows."""

    column: str
    groups: Markup
    gap: Markup
    newest: list[GroupPerformance]  # of the newest window that has any, with what is known of them
    left_out: int  # groups without a line


def draw_fairness(windows: Sequence[Window]) -> list[FairnessView]:
    """Each sensitive column; none where the project names none."""
    columns = dict.fromkeys(group.column for window in windows for group in window.groups)
    return [_draw(column, windows) for column in columns]


def _draw(column: str, windows: Sequence[Window]) -> FairnessView:
    own = [(window, [group for group in window.groups if group.column == column]) for window in windows]
    rows: Counter[str] = Counter()
    for _, groups in own:
        rows.update({group.group: group.rows for group in groups})
    names = [name for name, _ in rows.most_common(GROUPS_SHOWN)]
    metric = next((window.performance.metric for window, _ in reversed(own) if window.performance), "metric")
    lines = [Series(name, _line(name, own)) for name in names]
    gaps = [
        Point(middle(window), known[-1][0] - known[0][0], note=f"{tell_window(window)}, {_ends(known)}")
        for window, groups in own
        if len(known := sorted((value, name) for name, value, _ in _measured(groups))) > 1
    ]
    return FairnessView(
        column,
        line_chart(lines, title=f"{metric} by {column}", unit=metric, area=HALF, span=span(windows)),
        line_chart(
            [Series("gap between the best and the worst group", gaps)],
            title=f"Gap of {metric} by {column}",
            unit=f"difference in {metric}",
            area=HALF,
            span=span(windows),
            from_zero=True,
        ),
        next((groups for _, groups in reversed(own) if groups), []),
        max(len(rows) - len(names), 0),
    )


def _line(name: str, own: Sequence[tuple[Window, list[GroupPerformance]]]) -> list[Point]:
    return [
        Point(middle(window), value, held.low, held.high, f"{tell_window(window)}, {held.rows:,} outcomes")
        for window, groups in own
        for group, value, held in _measured(groups)
        if group == name
    ]


def _measured(groups: Sequence[GroupPerformance]) -> list[tuple[str, float, Performance]]:
    """The groups that have a figure."""
    held = [(group.group, group.performance) for group in groups if group.performance is not None]
    return [(name, figures.value, figures) for name, figures in held if figures.value is not None]


def _ends(known: Sequence[tuple[float, str]]) -> str:
    return f"{known[0][1]} lowest, {known[-1][1]} highest"
