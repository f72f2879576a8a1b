"""How numbers, moments and lengths of time are written on every page."""

import math
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

NOTHING = "–"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def format_number(value: float | None) -> str:
    """Four significant digits, thousands parted by commas; a dash for nothing."""
    if value is None:
        return NOTHING
    if not math.isfinite(value):
        return str(value)
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 9999.5 else f"{value:,.0f}"


def format_measure(value: float | None) -> str:
    """A metric: four decimals below ten, so that a column of them lines up; a dash for nothing."""
    if value is None or not math.isfinite(value):
        return NOTHING if value is None else str(value)
    text = f"{value:.4f}" if 1e-4 <= abs(value) < 10 or value == 0 else format_number(value)
    return text.replace("-", "−") if value < 0 else text


def format_interval(low: float | None, high: float | None) -> str:
    """`0.7886 to 0.8414`; a dash where there is none."""
    return NOTHING if low is None or high is None else f"{format_measure(low)} to {format_measure(high)}"


def format_change(value: float | None) -> str:
    """A difference with its sign; a dash for nothing."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{'−' if value < 0 else '+'}{format_measure(abs(value))}"


def format_p_value(value: float | None) -> str:
    """A p-value as people write it; a dash for nothing."""
    if value is None:
        return NOTHING
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def format_share(value: float | None) -> str:
    """`25%`; a digit after the point below ten, where it says something."""
    if value is None:
        return NOTHING
    percent = value * 100
    return f"{percent:.0f}%" if percent >= 10 or abs(percent - round(percent)) < 0.05 else f"{percent:.1f}%"


def format_bytes(value: int) -> str:
    """A size as people say it."""
    for size, unit in _BYTES:
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value} bytes"


def format_milliseconds(value: float | None) -> str:
    """`9.1 ms`, `120 ms`, `1.2 s`; a dash for nothing."""
    if value is None:
        return NOTHING
    return f"{value / 1000:.2g} s" if value >= 1000 else f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"


def format_length(value: timedelta | None) -> str:
    """A length of time in its two largest units, `8 h 5 min`; a dash for nothing."""
    if value is None:
        return NOTHING
    seconds = value.total_seconds()
    if seconds < 10:
        return f"{seconds:.2g} s"
    rest, parts = round(seconds), []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}")
        if len(parts) == 2 or (parts and not count):
            break
    return " ".join(parts)


def format_moment(value: datetime | None) -> str | Markup:
    """To the minute in UTC, with the whole moment for machines and for those who point at it."""
    if value is None:
        return NOTHING
    moment = value.astimezone(UTC)
    return _time_element(moment, f"{moment.day} {moment:%b %Y, %H:%M}")


def format_date(value: datetime | None) -> str | Markup:
    """The day in UTC."""
    if value is None:
        return NOTHING
    moment = value.astimezone(UTC)
    return _time_element(moment, f"{moment.day} {moment:%b %Y}")


def format_cell(value: object) -> str | Markup:
    """One value of a table of somebody's data: numbers and moments in our form, all else as it is."""
    if value is None:
        return NOTHING
    if isinstance(value, int | float) and not isinstance(value, bool):
        return format_number(value)
    moment = read_moment(value)
    return str(value) if moment is None else format_moment(moment)


def read_moment(value: object) -> datetime | None:
    """A moment that is written as ISO 8601 with its zone; None for all else."""
    if not isinstance(value, str) or len(value) < 19 or value[4:5] != "-" or value[10:11] != "T":
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def shorten(text: object, length: int = 10) -> Markup:
    """The beginning of a digest or an id, with the whole of it for those who point at it."""
    whole = str(text)
    if len(whole) <= length:
        return Markup(escape(whole))
    return Markup('<span title="{}">{}</span>').format(whole, whole[:length])


def _time_element(moment: datetime, text: str) -> Markup:
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"), moment.strftime("%Y-%m-%d %H:%M:%S UTC"), text
    )
