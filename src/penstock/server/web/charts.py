"""Charts as SVG, made on the server: they need no script, print well and follow the page's colours."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup, escape
from msgspec import Struct

WIDTH, HEIGHT = 760, 220
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 26
MOST_LABELS = 7


class Point(Struct, frozen=True):
    """One value at a moment, with its interval where there is one."""

    at: datetime
    value: float
    low: float | None = None
    high: float | None = None


class Series(Struct, frozen=True):
    """A named line of points in order of time."""

    name: str
    points: Sequence[Point]


class Mark(Struct, frozen=True):
    """A moment worth a vertical line, such as a promotion."""

    at: datetime
    label: str


class _Scale(Struct, frozen=True):
    low: float
    high: float
    start: float
    end: float

    def x(self, at: datetime) -> float:
        span = (self.end - self.start) or 1.0
        return LEFT + (at.timestamp() - self.start) / span * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        span = (self.high - self.low) or 1.0
        return TOP + (self.high - value) / span * (HEIGHT - TOP - BOTTOM)


def line_chart(series: Sequence[Series], *, title: str, marks: Sequence[Mark] = (), bar: float | None = None) -> Markup:
    """Lines over time with their intervals as bands; at most three series.

    Args:
        series: drawn in order; those without points are left out.
        title: read out by screen readers.
        marks: moments drawn as vertical lines.
        bar: a value that matters, such as a gate's, drawn as a horizontal line.
    """
    drawn = [one for one in series if one.points]
    if not drawn:
        return Markup('<p class="empty">Nothing to draw yet.</p>')
    scale = _scale(drawn, bar)
    parts = [_value_axis(scale), _time_axis(scale)]
    if bar is not None:
        y = scale.y(bar)
        parts.append(f'<line class="bar" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for mark in marks:
        if scale.start <= mark.at.timestamp() <= scale.end:
            x = scale.x(mark.at)
            line = f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
            parts.append(f"<g>{line}<title>{escape(mark.label)}</title></g>")
    parts += [_series(scale, one, number) for number, one in enumerate(drawn, 1)]
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _scale(series: Sequence[Series], bar: float | None) -> _Scale:
    points = [point for one in series for point in one.points]
    values = [value for p in points for value in (p.value, p.low, p.high) if value is not None]
    values += [] if bar is None else [bar]
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.1 or 1.0
    times = [point.at.timestamp() for point in points]
    floor = 0.0 if low >= 0 and low - room < 0 else low - room
    return _Scale(floor, high + room, min(times), max(times))


def _value_axis(scale: _Scale) -> str:
    step = _nice_step(scale.high - scale.low)
    value = math.ceil(scale.low / step) * step
    parts = []
    while value <= scale.high:
        y = scale.y(value)
        parts.append(f'<line class="grid-line" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
        value += step
    return "".join(parts)


def _nice_step(span: float) -> float:
    raw = span / 4 or 1.0
    power = 10 ** math.floor(math.log10(raw))
    return next(float(factor * power) for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)


def _time_axis(scale: _Scale) -> str:
    y = HEIGHT - BOTTOM
    parts = [f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>']
    days = (scale.end - scale.start) / 86_400
    form = "%H:%M" if days < 2 else "%d %b" if days < 300 else "%b %Y"
    shown: set[str] = set()
    for number in range(MOST_LABELS):
        moment = datetime.fromtimestamp(scale.start + (scale.end - scale.start) * number / (MOST_LABELS - 1), UTC)
        text = moment.strftime(form)
        if text not in shown:
            shown.add(text)
            anchor = "start" if number == 0 else "end" if number == MOST_LABELS - 1 else "middle"
            parts.append(f'<text x="{scale.x(moment):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{text}</text>')
    return "".join(parts)


def _series(scale: _Scale, series: Series, number: int) -> str:
    parts = []
    band = [point for point in series.points if point.low is not None and point.high is not None]
    if len(band) > 1:
        upper = " ".join(f"{scale.x(p.at):.1f},{scale.y(p.high or 0.0):.1f}" for p in band)
        lower = " ".join(f"{scale.x(p.at):.1f},{scale.y(p.low or 0.0):.1f}" for p in reversed(band))
        parts.append(f'<polygon class="band-{number}" points="{upper} {lower}"/>')
    path = " ".join(f"{scale.x(p.at):.1f},{scale.y(p.value):.1f}" for p in series.points)
    parts.append(f'<polyline class="line-{number}" points="{path}"/>')
    if len(series.points) <= 60:
        parts += [_dot(scale, series.name, point, number) for point in series.points]
    return "".join(parts)


def _dot(scale: _Scale, name: str, point: Point, number: int) -> str:
    interval = "" if point.low is None or point.high is None else f" [{point.low:.4g}, {point.high:.4g}]"
    text = f"{name} {point.at:%Y-%m-%d %H:%M}: {point.value:.4g}{interval}"
    centre = f'cx="{scale.x(point.at):.1f}" cy="{scale.y(point.value):.1f}"'
    return f'<circle class="dot-{number}" {centre} r="3"><title>{escape(text)}</title></circle>'
