"""Small drawings that fit into a line or a cell of a table: shares of traffic, intervals, stretches of time."""

from collections.abc import Sequence

from markupsafe import Markup, escape
from msgspec import Struct

WIDTH, HEIGHT, TALL = 160, 16, 32


class Range(Struct, frozen=True):
    """The ends that several strips share, so that they can be compared by eye."""

    low: float
    high: float

    def x(self, value: float) -> float:
        """Where a value lies in a strip."""
        span = (self.high - self.low) or 1.0
        return 4 + (value - self.low) / span * (WIDTH - 8)


def common_range(values: Sequence[float | None]) -> Range:
    """The range that holds all values that there are."""
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=1.0)
    room = (high - low) * 0.05 or 0.5
    return Range(low - room, high + room)


def share_meter(share: float, label: str) -> Markup:
    """How much of the traffic the candidate has.

    Args:
        share: from 0 to 1.
        label: read out by screen readers.
    """
    rest = 100 * (1 - share)
    return Markup(
        f'<svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<rect class="stable" width="{rest:.2f}" height="8"/>'
        f'<rect class="candidate" x="{rest:.2f}" width="{100 - rest:.2f}" height="8"/></svg>'
    )


def interval_strip(
    ends: Range, value: float | None, low: float | None, high: float | None, *, reference: float | None = None
) -> Markup:
    """A value with its interval on a common range, and a line where the reference lies."""
    if value is None:
        return Markup("")
    middle, parts = HEIGHT / 2, []
    if reference is not None:
        x = ends.x(reference)
        parts.append(f'<line class="reference" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{HEIGHT}"/>')
    if low is not None and high is not None:
        line = f'x1="{ends.x(low):.1f}" x2="{ends.x(high):.1f}" y1="{middle}" y2="{middle}"'
        parts.append(f'<line class="interval" {line}/>')
    parts.append(f'<circle class="value" cx="{ends.x(value):.1f}" cy="{middle}" r="4"/>')
    return _strip("".join(parts))


def stretch_strip(ends: Range, start: float, end: float, tone: str) -> Markup:
    """From when to when something took place on a common range; what took no time is a hairline."""
    x = ends.x(start)
    width = max(ends.x(end) - x, 1.5)
    return _strip(f'<rect class="stretch {tone}" x="{x:.1f}" y="3" width="{width:.1f}" height="10" rx="2"/>')


def bar_strip(share: float) -> Markup:
    """A share from 0 to 1 as a bar."""
    width = max(share * (WIDTH - 8), 1.0)
    return _strip(f'<rect class="stretch" x="4" y="5" width="{width:.1f}" height="6" rx="2"/>')


def spark_strip(values: Sequence[float | None], *, from_zero: bool = False) -> Markup:
    """Values in order as a line, from the smallest at the bottom to the largest at the top; None is passed over."""
    known = [value for value in values if value is not None]
    if not known:
        return Markup("")
    low, high = (min(0.0, *known) if from_zero else min(known)), max(known)
    span, step = (high - low) or 1.0, (WIDTH - 8) / max(len(values) - 1, 1)
    level = 0.5 if high == low and not from_zero else 0.0
    dots = [
        (4 + place * step, HEIGHT - 3 - ((value - low) / span or level) * (HEIGHT - 6))
        for place, value in enumerate(values)
        if value is not None
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    last = f'<circle class="value small" cx="{dots[-1][0]:.1f}" cy="{dots[-1][1]:.1f}" r="2.5"/>'
    return _strip(f'<polyline class="spark" points="{line}"/>{last}')


def pair_strip(before: float, after: float) -> Markup:
    """Two shares from 0 to 1 as bars, one above the other."""
    bars = [
        f'<rect class="stretch {tone}" x="4" y="{y}" width="{max(share * (WIDTH - 8), 0.0):.1f}" height="6" rx="1"/>'
        for tone, share, y in (("before", before, 1), ("after", after, 9))
    ]
    return _strip("".join(bars))


def twin_strip(pairs: Sequence[tuple[float, float]]) -> Markup:
    """Two spreads over the same bins: the first as a filled shape, the second as bars upon it."""
    top = max((share for pair in pairs for share in pair), default=0.0) or 1.0
    pitch, floor, height = (WIDTH - 8) / max(len(pairs), 1), TALL - 1, TALL - 2
    shapes = []
    for place, (before, after) in enumerate(pairs):
        left = 4 + place * pitch
        shapes.append(_upright("before", left + pitch * 0.06, pitch * 0.88, before / top * height, floor))
        shapes.append(_upright("after", left + pitch * 0.28, pitch * 0.44, after / top * height, floor))
    return _strip("".join(shapes), TALL)


def _upright(tone: str, x: float, width: float, height: float, floor: float) -> str:
    return f'<rect class="{tone}" x="{x:.1f}" y="{floor - height:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _strip(content: str, height: int = HEIGHT) -> Markup:
    css = "strip tall" if height == TALL else "strip"
    return Markup(f'<svg class="{css}" viewBox="0 0 {WIDTH} {height}" aria-hidden="true">{content}</svg>')
