"""A map of drift: a row for each watched column, a cell for each window, at the same place in time as in the charts."""

from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup, escape
from msgspec import Struct, structs

from penstock.server.web.drawings.plot import MAP, Area, Scale, time_axis, to_position

ROW = 22
NAME_LENGTH = 20
MARK = 5.0  # height of the sign for new values
LEAST_FAR = 0.1  # a distance below this is not drawn


class Cell(Struct, frozen=True):
    """One column in one window, or in some windows that lie next to each other."""

    start: datetime
    end: datetime
    tone: str  # none, calm, odd, odder, drifted
    text: str  # shown when pointed at
    link: str = ""  # where it leads
    distance: float = 0.0  # 0 to 1; drawn as a level inside the cell
    has_new: bool = False  # values that the reference lacks: a corner is cut


class Row(Struct, frozen=True):
    """One column over the windows."""

    column: str
    cells: Sequence[Cell]
    link: str = ""  # of the name


LEGEND = (
    ("calm", "like the reference"),
    ("odd", "p below 0.01"),
    ("odder", "p below 0.0001"),
    ("drifted", "drifted: beyond the budget of false alarms"),
    ("none", "not compared"),
)


def heat_map(rows: Sequence[Row], *, title: str, area: Area = MAP) -> Markup:
    """The map with its legend; only what occurs is explained.

    The names are tab stops, and the arrow keys lead from there through the cells (`static/map.js`).

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
    role = "group" if any(cell.link for cell in cells) else "img"
    return Markup(
        f'<figure class="chart"><svg class="chart heat {area.css}" viewBox="0 0 {frame.width} {frame.height}" '
        f'role="{role}" aria-label="{escape(title)}">{drawn}{time_axis(scale)}</svg>{_legend(cells)}</figure>'
    )


def _row(scale: Scale, row: Row, number: int) -> str:
    top = scale.area.top + ROW * number
    name = row.column if len(row.column) <= NAME_LENGTH else f"{row.column[: NAME_LENGTH - 1]}…"
    label = (
        f'<text class="mono" x="{scale.area.left - 8}" y="{top + 15}" text-anchor="end">{escape(name)}'
        f"<title>{escape(row.column)}</title></text>"
    )
    label = f'<a href="{escape(row.link)}">{label}</a>' if row.link else label
    cells = "".join(_cell(scale, cell, top) for cell in row.cells)
    return f'<g class="row">{label}{cells}{_levels(scale, row.cells, top)}</g>'


def _cell(scale: Scale, cell: Cell, top: int) -> str:
    left, width = _place(scale, cell)
    place = f'x="{left:.1f}" y="{top + 1}" width="{width:.1f}" height="{ROW - 4}"'
    shape = f'<rect class="cell {cell.tone}" {place} rx="2">'
    if not cell.link:
        return f"{shape}<title>{escape(cell.text)}</title></rect>"
    return f'<a href="{escape(cell.link)}" tabindex="-1"><title>{escape(cell.text)}</title>{shape}</rect></a>'


def _place(scale: Scale, cell: Cell) -> tuple[float, float]:
    left, right = scale.x(to_position(cell.start)), scale.x(to_position(cell.end))
    gap = 2.0 if right - left > 8 else 0.5
    return left + gap / 2, max(right - left - gap, 1.0)


def _levels(scale: Scale, cells: Sequence[Cell], top: int) -> str:
    """How far each cell moved, as a level in it, and a corner where values are new; one path for all of a row."""
    floor, height = top + ROW - 3, ROW - 4
    levels, corners = "", ""
    for cell in cells:
        left, width = _place(scale, cell)
        if cell.distance >= LEAST_FAR:
            rise = min(cell.distance, 1.0) * height
            levels += f"M{left:.1f} {floor}h{width:.1f}v{-rise:.1f}h{-width:.1f}z"
        if cell.has_new:
            side = min(MARK, width)
            corners += f"M{left + width - side:.1f} {top + 1}h{side:.1f}v{side:.1f}z"
    parts = [f'<path class="level" d="{levels}"/>'] if levels else []
    return "".join(parts + ([f'<path class="corner" d="{corners}"/>'] if corners else []))


def _legend(cells: Sequence[Cell]) -> str:
    tones = {cell.tone for cell in cells}
    told = [f'<span><i class="key-cell {tone}"></i>{text}</span>' for tone, text in LEGEND if tone in tones]
    if any(cell.distance >= LEAST_FAR for cell in cells):
        told.append('<span><i class="key-level"></i>how far it moved: the distance, of 1</span>')
    if any(cell.has_new for cell in cells):
        told.append('<span><i class="key-corner"></i>values that the reference lacks</span>')
    return f'<figcaption class="legend">{"".join(told)}</figcaption>'
