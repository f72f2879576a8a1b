"""Charts as SVG, made on the server: they need no script, print well and follow the page's colours."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from markupsafe import Markup, escape
from msgspec import Struct

from penstock.server.web.drawings.plot import (
    WIDE,
    Area,
    Scale,
    fit_logarithms,
    fit_values,
    step_axis,
    time_axis,
    to_position,
    value_axis,
)
from penstock.server.web.words.formats import format_measure

MOST_DOTS = 120
COLOURS = 10
EMPTY = Markup('<p class="empty">Nothing to draw yet.</p>')


class Point(Struct, frozen=True):
    """One value at a moment or a step, with its interval where there is one."""

    at: datetime | float
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ""  # shown when pointed at, in front of the value
    link: str = ""  # where it leads, for whoever clicks it; it is no tab stop


class Series(Struct, frozen=True):
    """A named line of points in order."""

    name: str
    points: Sequence[Point]
    is_guess: bool = False  # drawn with a broken line: it is estimated, or expected


class Mark(Struct, frozen=True):
    """A moment worth seeing: another version, an alert, a window that drifted, or the one that is told about."""

    at: datetime
    kind: Literal["takeover", "alert", "drifted", "here"]
    text: str  # a word or two, written beside it
    label: str  # all of it, shown when pointed at


class Bar(Struct, frozen=True):
    """A value that matters, drawn as a horizontal line."""

    value: float
    label: str


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    unit: str = "",
    area: Area = WIDE,
    marks: Sequence[Mark] = (),
    bar: Bar | None = None,
    span: tuple[datetime, datetime] | None = None,
    from_zero: bool = False,
    axis: str = "step",
    time: str = "event time",
    is_log: bool = False,
    band: str = "95% interval",
    most: float | None = None,
) -> Markup:
    """Lines over event time or over steps, with their intervals as bands and a legend of what is drawn.

    Args:
        series: drawn in order; those without points are left out, and of more than ten the colours begin again.
        title: read out by screen readers.
        unit: what the values are, written at their axis.
        area: how large.
        marks: moments that matter.
        bar: a value that matters.
        span: what the axis of time reaches over; by default from the first to the last point.
        from_zero: whether the axis of values begins at zero.
        axis: what the lower axis counts, where it is not time.
        time: which time it is, where it is one.
        is_log: whether values stand by their logarithms; all of them are above zero.
        band: what lies between the low and the high of the points.
        most: what no value can be above, such as 100 of a share in percent.
    """
    drawn = [(number % COLOURS + 1, one) for number, one in enumerate(series) if one.points]
    if not drawn:
        return EMPTY
    lines = [one for _, one in drawn]
    scale = _scale(lines, area, bar, span, from_zero=from_zero, is_log=is_log, most=most)
    is_time = isinstance(lines[0].points[0].at, datetime)
    seen = [mark for mark in marks if scale.holds(to_position(mark.at))]
    parts = [value_axis(scale, unit), time_axis(scale, time) if is_time else step_axis(scale, axis)]
    parts += [_bar(scale, bar)] if bar else []
    parts += [_mark(scale, mark) for mark in seen]
    parts += [_series(scale, one, number) for number, one in drawn]
    return Markup(
        f'<figure class="chart"><svg class="chart {area.css}" viewBox="0 0 {area.width} {area.height}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>{_legend(drawn, seen, bar, band)}</figure>'
    )


def _scale(
    series: Sequence[Series],
    area: Area,
    bar: Bar | None,
    span: tuple[datetime, datetime] | None,
    *,
    from_zero: bool,
    is_log: bool,
    most: float | None,
) -> Scale:
    points = [point for one in series for point in one.points]
    values = [value for p in points for value in (p.value, p.low, p.high) if value is not None]
    values += [bar.value] if bar else []
    low, high, step = fit_logarithms(values) if is_log else fit_values(values, from_zero=from_zero, most=most)
    positions = [to_position(at) for at in span] if span else [to_position(point.at) for point in points]
    return Scale(area=area, low=low, high=high, step=step, start=min(positions), end=max(positions), is_log=is_log)


def _bar(scale: Scale, bar: Bar) -> str:
    area, y = scale.area, scale.y(bar.value)
    return (
        f'<line class="bar" x1="{area.left}" x2="{area.right_edge}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="bar-label" x="{area.right_edge}" y="{y - 5:.1f}" text-anchor="end">{escape(bar.label)}</text>'
    )


def _mark(scale: Scale, mark: Mark) -> str:
    area, x = scale.area, scale.x(to_position(mark.at))
    if mark.kind in ("alert", "drifted"):
        y = area.bottom_edge
        shape = f'<path class="alert" d="M{x - 6:.1f} {y - 1} L{x:.1f} {y - 12} L{x + 6:.1f} {y - 1} Z"/>'
        return f"<g>{shape}<title>{escape(mark.label)}</title></g>"
    y = area.top + 12 if mark.kind == "here" else area.top - 4  # below the names of versions
    is_right = x > area.right_edge - 80 or (mark.kind == "here" and x > area.left + 80)
    place = f'x="{x + (-5 if is_right else 5):.1f}" y="{y}" text-anchor="{"end" if is_right else "start"}"'
    line = f'<line class="mark {mark.kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{area.top - 12}" y2="{area.bottom_edge}"/>'
    text = f'<text class="mark-label {mark.kind}" {place}>{escape(mark.text)}</text>'
    return f"<g>{line}{text}<title>{escape(mark.label)}</title></g>"


def _series(scale: Scale, series: Series, number: int) -> str:
    parts = []
    band = [point for point in series.points if point.low is not None and point.high is not None]
    if len(band) > 1:
        upper = " ".join(f"{_x(scale, p)},{scale.y(p.high or 0.0):.1f}" for p in band)
        lower = " ".join(f"{_x(scale, p)},{scale.y(p.low or 0.0):.1f}" for p in reversed(band))
        parts.append(f'<polygon class="band-{number}" points="{upper} {lower}"/>')
    path = " ".join(f"{_x(scale, p)},{scale.y(p.value):.1f}" for p in series.points)
    broken = " broken" if series.is_guess else ""
    parts.append(f'<polyline class="line-{number}{broken}" points="{path}"/>')
    if len(series.points) <= MOST_DOTS:
        parts += [_dot(scale, series.name, point, number) for point in series.points]
    return "".join(parts)


def _dot(scale: Scale, name: str, point: Point, number: int) -> str:
    """A point with a larger place around it to point at."""
    when = point.note or (f"{point.at:%Y-%m-%d %H:%M}" if isinstance(point.at, datetime) else f"step {point.at:g}")
    interval = "" if point.low is None or point.high is None else f" [{point.low:.4g}, {point.high:.4g}]"
    text = f"{when}: {name} {format_measure(point.value)}{interval}"
    place = f'cx="{_x(scale, point)}" cy="{scale.y(point.value):.1f}"'
    dots = f'<circle class="hit" {place} r="9"/><circle class="dot-{number}" {place} r="3"/>'
    drawn = f"{dots}<title>{escape(text)}</title>"
    return f'<a href="{escape(point.link)}" tabindex="-1">{drawn}</a>' if point.link else f"<g>{drawn}</g>"


def _x(scale: Scale, point: Point) -> str:
    return f"{scale.x(to_position(point.at)):.1f}"


def _legend(series: Sequence[tuple[int, Series]], marks: Sequence[Mark], bar: Bar | None, band: str) -> str:
    """What is drawn, and only that."""
    told = [
        f'<span><i class="key-{number}{" broken" if one.is_guess else ""}"></i>{escape(one.name)}</span>'
        for number, one in series
    ]
    if any(point.low is not None for _, one in series for point in one.points):
        told.append(f'<span><i class="key-band"></i>{escape(band)}</span>')
    if bar:
        told.append(f'<span><i class="key-bar"></i>{escape(bar.label)}</span>')
    if any(mark.kind == "takeover" for mark in marks):
        told.append('<span><i class="key-mark"></i>another version took over</span>')
    for kind in ("alert", "drifted"):
        if any(mark.kind == kind for mark in marks):
            told.append(f'<span><i class="key-alert"></i>{kind}</span>')
    return f'<figcaption class="legend">{"".join(told)}</figcaption>' if len(told) > 1 else ""
