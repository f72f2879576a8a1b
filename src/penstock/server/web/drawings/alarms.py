"""Alarms on a line of time: a lane for each kind, a sign where one was raised, and a bar until it was resolved."""

from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup, escape
from msgspec import Struct, structs

from penstock.server.web.drawings.plot import MAP, Area, Scale, time_axis, to_position

LANE = 26


class Alarm(Struct, frozen=True):
    """One alarm."""

    start: datetime
    end: datetime | None  # None: it is open, or nobody knows when it ended
    text: str  # shown when pointed at, and read out
    link: str = ""
    is_open: bool = False


class Lane(Struct, frozen=True):
    """The alarms of one kind."""

    name: str
    alarms: Sequence[Alarm]


def alarm_line(
    lanes: Sequence[Lane], span: tuple[datetime, datetime], since: datetime, *, title: str, area: Area = MAP
) -> Markup:
    """The lanes over time; what lies in the period that is counted stands on a ground of its own.

    Args:
        lanes: in the order they are drawn.
        span: what the axis of time reaches over.
        since: when the period begins that is counted.
        title: read out by screen readers.
        area: its width and left margin; the height follows from the lanes.
    """
    frame = structs.replace(area, top=4, height=4 + LANE * len(lanes) + area.bottom)
    start, end = (to_position(at) for at in span)
    scale = Scale(area=frame, low=0.0, high=1.0, start=start, end=end)
    left = scale.x(max(to_position(since), start))
    ground = (
        f'<rect class="period" x="{left:.1f}" y="{frame.top}" width="{frame.right_edge - left:.1f}" '
        f'height="{LANE * len(lanes)}"/>'
    )
    drawn = "".join(_lane(scale, lane, number) for number, lane in enumerate(lanes))
    return Markup(
        f'<figure class="chart"><svg class="chart alarms {area.css}" viewBox="0 0 {frame.width} {frame.height}" '
        f'role="group" aria-label="{escape(title)}">{ground}{drawn}{time_axis(scale)}</svg></figure>'
    )


def _lane(scale: Scale, lane: Lane, number: int) -> str:
    area = scale.area
    middle = area.top + LANE * number + LANE / 2
    name = f'<text class="mono" x="{area.left - 8}" y="{middle + 4}" text-anchor="end">{escape(lane.name)}</text>'
    line = f'<line class="lane" x1="{area.left}" x2="{area.right_edge}" y1="{middle}" y2="{middle}"/>'
    return name + line + "".join(_alarm(scale, alarm, middle) for alarm in lane.alarms)


def _alarm(scale: Scale, alarm: Alarm, middle: float) -> str:
    if not scale.holds(to_position(alarm.start)):
        return ""
    left = scale.x(to_position(alarm.start))
    end = scale.end if alarm.is_open else to_position(alarm.end or alarm.start)
    width = max(scale.x(min(end, scale.end)) - left, 2.0)
    tone = "open" if alarm.is_open else "past"
    drawn = (
        f'<title>{escape(alarm.text)}</title><rect class="lasted {tone}" x="{left:.1f}" y="{middle - 4}" '
        f'width="{width:.1f}" height="8" rx="2"/>'
        f'<path class="alert" d="M{left - 7:.1f} {middle + 6:.1f} L{left:.1f} {middle - 7:.1f} '
        f'L{left + 7:.1f} {middle + 6:.1f} Z"/>'
    )
    return f'<a href="{escape(alarm.link)}">{drawn}</a>' if alarm.link else f"<g>{drawn}</g>"
