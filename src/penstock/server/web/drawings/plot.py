"""The frame of a chart: its area on the page, its scales, and axes with round numbers and moments."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape
from msgspec import Struct

_DAY_S = 86_400
_MONDAY_S = 4 * _DAY_S  # 5 January 1970: days and weeks are counted from here, as windows are
_STEPS_S = (60, 300, 900, 3_600, 10_800, 21_600, 43_200, _DAY_S, 2 * _DAY_S, 7 * _DAY_S, 14 * _DAY_S)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)
_NICE = (1, 2, 2.5, 5, 10)


class Area(Struct, frozen=True, kw_only=True):
    """The size of a chart and the margins around what is drawn, in the units of its own coordinates."""

    width: int
    height: int
    left: int = 96
    right: int = 16
    top: int = 30
    bottom: int = 44
    time_ticks: int = 10  # at most
    css: str = "wide"

    @property
    def bottom_edge(self) -> int:
        """Where the axis of time lies."""
        return self.height - self.bottom

    @property
    def right_edge(self) -> int:
        """Where the drawing ends."""
        return self.width - self.right


WIDE = Area(width=1080, height=270)
MAP = Area(width=1080, height=270, left=148)  # with room for the names of columns
NARROW = Area(width=360, height=230, left=52, right=10, time_ticks=3, css="narrow")  # a phone
STORY = Area(width=720, height=240, left=60, time_ticks=7, css="middle")  # two thirds of a page
HALF = Area(width=520, height=240, left=56, time_ticks=5, css="half")


def on_either(wide: Markup, narrow: Markup) -> Markup:
    """Two drawings of the same, of which the width of the screen shows one."""
    return Markup('<div class="on-wide">{}</div><div class="on-narrow">{}</div>').format(wide, narrow)


class Scale(Struct, frozen=True, kw_only=True):
    """Where a value and a moment (or a step) lie in an area."""

    area: Area
    low: float
    high: float
    step: float = 1.0  # between the lines of the axis of values
    start: float
    end: float
    is_log: bool = False  # `low`, `high` and `step` are then powers of ten

    def x(self, position: float) -> float:
        """From left to right; `position` as `to_position` gives it."""
        span = (self.end - self.start) or 1.0
        return self.area.left + (position - self.start) / span * (self.area.right_edge - self.area.left)

    def y(self, value: float) -> float:
        """From top to bottom."""
        span = (self.high - self.low) or 1.0
        value = math.log10(value) if self.is_log else value
        return self.area.top + (self.high - value) / span * (self.area.bottom_edge - self.area.top)

    def holds(self, position: float) -> bool:
        """Whether a moment lies in the drawing."""
        return self.start <= position <= self.end


def to_position(at: datetime | float) -> float:
    """A moment or a step as a number."""
    return at.timestamp() if isinstance(at, datetime) else float(at)


def fit_values(values: Sequence[float], *, from_zero: bool, most: float | None = None) -> tuple[float, float, float]:
    """The ends of an axis that holds all values, at round numbers, and the distance between its lines.

    Args:
        values: at least one.
        from_zero: whether the axis begins at zero.
        most: what no value can be above, a round number; the axis ends there where it would go beyond.
    """
    low, high = min(values), max(values)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    bottom = 0.0 if from_zero or 0 <= low < (high - low) * 0.35 else low - room
    step = nice_step(high + room - bottom)
    start, end = math.floor(bottom / step + 1e-9) * step, math.ceil((high + room) / step - 1e-9) * step
    return start, end if most is None or high > most else min(end, most), step


def fit_logarithms(values: Sequence[float]) -> tuple[float, float, float]:
    """The ends of an axis of logarithms that holds all values, at powers of ten, and the distance between its lines."""
    low, high = math.floor(math.log10(min(values)) + 1e-9), math.ceil(math.log10(max(values)) - 1e-9)
    step = max(1, math.ceil((high - low) / 6))
    return float(low), float(low + max(1, math.ceil((high - low) / step)) * step), float(step)


def nice_step(span: float) -> float:
    """A round distance between the lines of an axis, so that there are four to six of them."""
    raw = span / 4 or 1.0
    power = 10 ** math.floor(math.log10(raw))
    return next(float(factor * power) for factor in _NICE if factor * power >= raw * 0.999)


def value_axis(scale: Scale, title: str) -> str:
    """Horizontal lines with their numbers, and what they measure."""
    area, step = scale.area, scale.step
    digits = next((digits for digits in range(9) if abs(round(step, digits) - step) < step * 1e-6), 9)
    parts = [f'<text class="title" x="{area.left}" y="14">{escape(title)}</text>']
    count = round((scale.high - scale.low) / step)
    for number in range(count + 1):
        value = scale.low + number * step
        y = area.bottom_edge - number / max(count, 1) * (area.bottom_edge - area.top)
        text = _power(value) if scale.is_log else f"{value:,.{digits}f}"
        parts.append(f'<line class="grid-line" x1="{area.left}" x2="{area.right_edge}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{area.left - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return "".join(parts)


def _power(exponent: float) -> str:
    return f"{10**exponent:,g}" if abs(exponent) <= 5 else f"1e{exponent:.0f}"


def time_axis(scale: Scale, title: str = "event time") -> str:
    """The axis of time with its ticks; UTC."""
    ticks = [(moment.timestamp(), text) for moment, text in time_ticks(scale.start, scale.end, scale.area.time_ticks)]
    return _bottom_axis(scale, ticks, title)


def step_axis(scale: Scale, title: str = "step") -> str:
    """The axis of steps with its ticks."""
    step = max(1.0, nice_step(scale.end - scale.start))
    first = math.ceil(scale.start / step)
    ticks = [(number * step, f"{number * step:,.0f}") for number in range(first, math.floor(scale.end / step) + 1)]
    return _bottom_axis(scale, ticks, title)


def _bottom_axis(scale: Scale, ticks: Sequence[tuple[float, str]], title: str) -> str:
    area = scale.area
    y = area.bottom_edge
    parts = [f'<line class="axis" x1="{area.left}" x2="{area.right_edge}" y1="{y}" y2="{y}"/>']
    for position, text in ticks:
        x = scale.x(position)
        anchor = "start" if x < area.left + 20 else "end" if x > area.right_edge - 20 else "middle"
        parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 4}"/>')
        parts.append(f'<text x="{x:.1f}" y="{y + 18}" text-anchor="{anchor}">{text}</text>')
    parts.append(f'<text class="title" x="{area.right_edge}" y="{y + 36}" text-anchor="end">{escape(title)}</text>')
    return "".join(parts)


def time_ticks(start: float, end: float, most: int) -> list[tuple[datetime, str]]:
    """Round moments between two timestamps, with their labels; days and weeks begin on Mondays, then come months."""
    for step in _STEPS_S:
        if (end - start) / step <= most:
            first = math.ceil((start - _MONDAY_S) / step) * step + _MONDAY_S
            moments = [datetime.fromtimestamp(at, UTC) for at in range(round(first), math.floor(end) + 1, step)]
            return [(moment, _tick_text(moment, step)) for moment in moments]
    for months in _MONTHS:
        found = list(_month_starts(start, end, months))
        if len(found) <= most:
            return [(moment, f"{moment:%b %Y}") for moment in found]
    return []


def _tick_text(moment: datetime, step_s: int) -> str:
    is_midnight = moment.hour == 0 and moment.minute == 0
    return f"{moment.day} {moment:%b}" if step_s >= _DAY_S or is_midnight else f"{moment:%H:%M}"


def _month_starts(start: float, end: float, months: int) -> Iterator[datetime]:
    moment = datetime.fromtimestamp(start, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while moment.timestamp() <= end:
        if moment.timestamp() >= start and (moment.month - 1) % min(months, 12) == 0 and _is_year(moment, months):
            yield moment
        moment = (moment + timedelta(days=32)).replace(day=1)


def _is_year(moment: datetime, months: int) -> bool:
    return months <= 12 or moment.year % (months // 12) == 0
