"""Fairness over windows: a line for each group of a sensitive column, and the gap between the best and the worst."""

from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup
from msgspec import Struct

from penstock.monitoring.types import Window
from penstock.server.web.drawings.charts import Point, Series, line_chart
from penstock.server.web.drawings.plot import HALF
from penstock.server.web.monitoring.figures import Group, list_groups
from penstock.server.web.words.windows import middle, span, tell_window

GROUPS_SHOWN = 6  # of a column, those with most rows


class FairnessView(Struct, frozen=True):
    """One sensitive column over the windows."""

    column: str
    groups: Markup
    gap: Markup
    newest: list[Group]  # of the newest window that has any, with what is known of them
    left_out: int  # groups without a line


def draw_fairness(windows: Sequence[Window]) -> list[FairnessView]:
    """Each sensitive column; none where the project names none."""
    seen = [(window, list_groups(window)) for window in windows]
    columns = dict.fromkeys(group.column for _, groups in seen for group in groups)
    return [_draw(column, windows, seen) for column in columns]


def _draw(column: str, windows: Sequence[Window], seen: Sequence[tuple[Window, list[Group]]]) -> FairnessView:
    own = [(window, [group for group in groups if group.column == column]) for window, groups in seen]
    rows: Counter[str] = Counter()
    for _, groups in own:
        rows.update({group.name: group.rows for group in groups})
    names = [name for name, _ in rows.most_common(GROUPS_SHOWN)]
    metric = next((window.performance.metric for window, _ in reversed(own) if window.performance), "metric")
    lines = [Series(name, _line(name, own)) for name in names]
    gaps = [
        Point(middle(window), max(known) - min(known), note=f"{tell_window(window)}, {_ends(groups)}")
        for window, groups in own
        if len(known := [group.value for group in groups if group.value is not None]) > 1
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


def _line(name: str, own: Sequence[tuple[Window, list[Group]]]) -> list[Point]:
    return [
        Point(middle(window), group.value, group.low, group.high, f"{tell_window(window)}, {group.rows:,} rows")
        for window, groups in own
        for group in groups
        if group.name == name and group.value is not None
    ]


def _ends(groups: Sequence[Group]) -> str:
    known = sorted((group.value, group.name) for group in groups if group.value is not None)
    return f"{known[0][1]} lowest, {known[-1][1]} highest"
