"""Which stretch of event time a moment belongs to: tumbling windows that all start from one fixed origin."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

# A Monday at midnight: windows of a day begin at midnight, windows of a week on a Monday, whenever watching began.
ORIGIN = datetime(1970, 1, 5, tzinfo=UTC)


def window_start(at: datetime, length: timedelta) -> datetime:
    """The start of the window that holds a moment; windows hold their start and not their end."""
    return ORIGIN + ((at - ORIGIN) // length) * length


def closed_windows(first_at: datetime, watermark: datetime, length: timedelta) -> Iterator[datetime]:
    """The starts of all windows from the one with the first event on that the watermark has passed, oldest first.

    Args:
        first_at: the oldest event.
        watermark: the newest event time seen; a window is closed once this reaches its end.
        length: of each window.
    """
    start = window_start(first_at, length)
    while start + length <= watermark:
        yield start
        start += length
