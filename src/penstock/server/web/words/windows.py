"""How windows of event time are told, and where their pages are."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import quote

from penstock.monitoring.types import Window
from penstock.monitoring.windows import name_start

DAY_S = 86_400


def tell_window(window: Window) -> str:
    """A window as people say it: its day, or where it is shorter its hour; two ends for more than a day."""
    return tell_span(window.start, window.end)


def tell_span(start: datetime, end: datetime) -> str:
    """A stretch of event time as people say it."""
    seconds = (end - start).total_seconds()
    if seconds < DAY_S:
        return f"{tell_day(start)}, {start:%H:%M} to {end:%H:%M}"
    if seconds == DAY_S:
        return tell_day(start)
    last = end - (end - start) / 1000
    year = "" if start.year == last.year else f" {start.year}"
    return f"{start.day} {start:%b}{year} to {tell_day(last)}"


def tell_day(moment: datetime) -> str:
    """`5 Jan 2026`."""
    return f"{moment.day} {moment:%b %Y}"


def window_page(deployment: str, start: datetime) -> str:
    """The address of the page about a window."""
    return f"/deployments/{quote(deployment, safe='')}/windows/{name_start(start)}"


def column_page(deployment: str, start: datetime, column: str) -> str:
    """The address of the page about one column in a window."""
    return f"{window_page(deployment, start)}/{quote(column, safe='')}"


def middle(window: Window) -> datetime:
    """Where in time what is told of a window is drawn."""
    return window.start + (window.end - window.start) / 2


def span(windows: Sequence[Window]) -> tuple[datetime, datetime] | None:
    """From the beginning of the first to the end of the last."""
    return (windows[0].start, windows[-1].end) if windows else None
