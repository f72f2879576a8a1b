"""Which stretch of event time a moment belongs to: tumbling windows that all start from one fixed origin."""

from datetime import UTC, datetime, timedelta

# A Monday at midnight: windows of a day begin at midnight, windows of a week on a Monday, whenever watching began.
ORIGIN = datetime(1970, 1, 5, tzinfo=UTC)


def name_start(start: datetime) -> str:
    """A start as a part of ids: to the minute, and finer only where windows are."""
    fine = "%Y-%m-%dT%H:%M" if start.second == start.microsecond == 0 else "%Y-%m-%dT%H:%M:%S.%f"
    return f"{start:{fine}}"


def window_start(at: datetime, length: timedelta) -> datetime:
    """The start of the window that holds a moment; windows hold their start and not their end."""
    return ORIGIN + ((at - ORIGIN) // length) * length


def tell_start(start: datetime) -> str:
    """A start as people say it: the day, and the hour where windows do not begin at midnight."""
    return f"{start:%Y-%m-%d}" if start.hour == start.minute == 0 else f"{start:%Y-%m-%d %H:%M}"
