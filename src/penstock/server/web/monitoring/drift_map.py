"""The drift of each watched column over the windows of a deployment, those that moved most at the top."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from markupsafe import Markup
from msgspec import Struct, structs

from penstock.monitoring.types import ColumnDrift, Window
from penstock.server.web.drawings import plot
from penstock.server.web.drawings.heat import Cell, Row, heat_map
from penstock.server.web.drawings.plot import MAP, on_either
from penstock.server.web.words.formats import format_p_value, format_share
from penstock.server.web.words.windows import column_page, tell_span, tell_window

TONES = ((1e-4, "odder"), (1e-2, "odd"))  # p-values below which a cell is tinted
MOST_CELLS = 72  # side by side; where there are more windows, a cell shows the one of its windows that moved most
NARROW_CELLS = 10  # on a phone
COLUMNS_SHOWN = 20
TITLE = "Drift by column and window"
NARROW = structs.replace(plot.NARROW, left=132, time_ticks=2)
NEW = 0.01  # share of rows with new values that is worth a sign


class Seen(Struct, frozen=True):
    """A column in a window."""

    window: Window
    drift: ColumnDrift


class DriftMap(Struct, frozen=True):
    """The map, and how much of what there is it shows."""

    drawing: Markup
    columns: int  # that are watched
    shown: int  # that have a row
    per_cell: int  # windows


def draw_drift(windows: Sequence[Window], *, most: int = COLUMNS_SHOWN) -> DriftMap:
    """Each watched column over the windows; red is beyond the budget of false alarms.

    Args:
        windows: oldest first.
        most: rows; columns that moved less are left out.
    """
    seen = _by_column(windows)
    order = sorted(seen, key=lambda name: (_rank(windows, seen[name]), name))
    per_cell = max(1, math.ceil(len(windows) / MOST_CELLS))
    bins = [windows[first : first + per_cell] for first in range(0, len(windows), per_cell)]
    rows = [_row(name, bins, seen[name]) for name in order[:most]]
    near = [structs.replace(row, cells=row.cells[-NARROW_CELLS:]) for row in rows]
    drawing, narrow = (heat_map(held, title=TITLE, area=area) for held, area in ((rows, MAP), (near, NARROW)))
    return DriftMap(on_either(drawing, narrow) if rows else drawing, len(seen), len(rows), per_cell)


def _by_column(windows: Sequence[Window]) -> dict[str, dict[datetime, Seen]]:
    """What was seen of each column that could ever be tested, by the start of the window."""
    seen: dict[str, dict[datetime, Seen]] = {}
    tested: set[str] = set()
    for window in windows:
        for drift in window.drift:
            seen.setdefault(drift.column, {})[window.start] = Seen(window, drift)
            if drift.test != "none":
                tested.add(drift.column)
    return {name: held for name, held in seen.items() if name in tested}


def _rank(windows: Sequence[Window], seen: Mapping[datetime, Seen]) -> tuple[float, ...]:
    """Less for what moved more: drifted now, drifted often, and else how unlike the reference it ever was."""
    newest = next((seen[window.start] for window in reversed(windows) if window.start in seen), None)
    p_values = [one.drift.p_value for one in seen.values() if one.drift.p_value is not None]
    return (
        -float(newest is not None and newest.drift.drifted),
        -float(sum(one.drift.drifted for one in seen.values())),
        min(p_values, default=1.0),
    )


def _row(name: str, bins: Sequence[Sequence[Window]], seen: Mapping[datetime, Seen]) -> Row:
    cells = [_cell(name, held, [seen[window.start] for window in held if window.start in seen]) for held in bins]
    drifted = [one for one in seen.values() if one.drift.drifted]
    telling = max(drifted or seen.values(), key=lambda one: one.window.start)
    return Row(name, cells, column_page(telling.window.deployment, telling.window.start, name))


def _cell(name: str, windows: Sequence[Window], seen: Sequence[Seen]) -> Cell:
    start, end = windows[0].start, windows[-1].end
    if not seen:
        return Cell(start, end, "none", f"{name}, {tell_span(start, end)}: {windows[-1].drift_note or 'not compared'}")
    worst = min(seen, key=_oddity)
    drift, when = worst.drift, tell_window(worst.window)
    where = when if len(windows) == 1 else f"{tell_span(start, end)}, most on {when}"
    return Cell(
        start,
        end,
        tone_of(drift),
        f"{name}, {where}: {tell_drift(drift)}",
        column_page(worst.window.deployment, worst.window.start, name),
        drift.distance or 0.0,
        drift.new_share >= NEW,
    )


def _oddity(one: Seen) -> tuple[bool, float]:
    return not one.drift.drifted, 2.0 if one.drift.p_value is None else one.drift.p_value


def tone_of(drift: ColumnDrift) -> str:
    """The colour of a column in a window."""
    if drift.p_value is None:
        return "none"
    p_value = drift.p_value
    return "drifted" if drift.drifted else next((tone for bound, tone in TONES if p_value < bound), "calm")


def tell_drift(drift: ColumnDrift) -> str:
    """What was found of a column, with the numbers that it rests on."""
    if drift.p_value is None:
        return drift.note or "not compared"
    told = [f"p {_p_text(drift.p_value)}" + (f" against a level of {drift.level:.2g}" if drift.level else "")]
    told += [] if drift.distance is None else [f"distance {drift.distance:.3f}"]
    told += [f"{format_share(drift.new_share)} new to the model"] if drift.new_share >= NEW else []
    told += [f"moved where {' or '.join(drift.segments_drifted)}"] if drift.segments_drifted else []
    return ("drifted, " if drift.drifted else "") + ", ".join(told)


def _p_text(p_value: float) -> str:
    text = format_p_value(p_value)
    return text if text.startswith("<") else f"= {text}"
