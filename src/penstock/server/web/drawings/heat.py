"""A map of drift: a row for each watched column, a cell for each window, at the same place in time as in the charts."""

from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup, escape
from msgspec import Struct, structs

from penstock.server.web.drawings.plot import WIDE, Area, Scale, time_axis, to_position

ROW = 22
NAME_LENGTH = 14


class Cell(Struct, frozen=True):
    """One column in one window."""

    start: datetime
    end: datetime
    tone: str  # none, calm, odd, odder, drifted
    text: str  # shown when pointed at


class Row(Struct, frozen=True):
    """One column over the windows."""

    column: str
    cells: Sequence[Cell]


LEGEND = (
    ("calm", "like the reference"),
    ("odd", "p below 0.01"),
    ("odder", "p below 0.0001"),
    ("drifted", "drifted: beyond the budget of false alarms"),
    ("none", "not compared"),
)


def heat_map(rows: Sequence[Row], *, title: str, area: Area = WIDE) -> Markup:
    """The map with its legend; only tones that occur are explained.

    Args:
        rows: in the order they are drawn.
        title: read out by screen readers.
        area: its width and left margin; the height follows from the rows.
    """
    cells = [cell for row in rows for cell in row.cells]
    if not cells:
        return Markup('<p class="empty">No window has been compared yet.</p>')
    frame = structs.replace(area, top=4, height=4 + ROW * len(rows) + area.bottom)
    start, end = (to_position(at) for at in (min(c.start for c in cells), max(c.end for c in cells)))
    scale = Scale(area=frame, low=0.0, high=1.0, start=start, end=end)
    drawn = "".join(_row(scale, row, number) for number, row in enumerate(rows))
    return Markup(
        f'<figure class="chart"><svg class="chart {area.css}" viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-label="{escape(title)}">{drawn}{time_axis(scale)}</svg>{_legend(cells)}</figure>'
    )


def _row(scale: Scale, row: Row, number: int) -> str:
    top = scale.area.top + ROW * number
    name = row.column if len(row.column) <= NAME_LENGTH else f"{row.column[: NAME_LENGTH - 1]}…"
    label = (
        f'<text class="mono" x="{scale.area.left - 8}" y="{top + 15}" text-anchor="end">{escape(name)}'
        f"<title>{escape(row.column)}</title></text>"
    )
    return label + "".join(_cell(scale, cell, top) for cell in row.cells)


def _cell(scale: Scale, cell: Cell, top: int) -> str:
    left, right = scale.x(to_position(cell.start)), scale.x(to_position(cell.end))
    gap = 2.0 if right - left > 8 else 0.5
    place = f'x="{left + gap / 2:.1f}" y="{top + 1}" width="{max(right - left - gap, 1.0):.1f}" height="{ROW - 4}"'
    return f'<rect class="cell {cell.tone}" {place} rx="2"><title>{escape(cell.text)}</title></rect>'


def _legend(cells: Sequence[Cell]) -> str:
    tones = {cell.tone for cell in cells}
    told = [f'<span><i class="key-cell {tone}"></i>{text}</span>' for tone, text in LEGEND if tone in tones]
    return f'<figcaption class="legend">{"".join(told)}</figcaption>'
