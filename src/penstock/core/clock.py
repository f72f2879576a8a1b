"""Where time comes from, so that a test can hold it still."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells wall-clock time in UTC, and a monotonic time in seconds for leases and timeouts."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since the machine started."""
        return time.monotonic()


class ManualClock:
    """A clock that moves only when it is told to."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        """The moment this clock was last moved to."""
        return self._now

    def monotonic(self) -> float:
        """Seconds this clock was moved in all."""
        return self._elapsed_s

    def advance(self, **delta: float) -> None:
        """Move forward; takes the arguments of `timedelta`."""
        step = timedelta(**delta)
        self._now += step
        self._elapsed_s += step.total_seconds()


def parse_duration(text: str) -> timedelta:
    """`30s`, `15m`, `6h`, `1d` or `2w` as a length of time.

    Raises:
        ValueError: the text is no such length, not above zero, or above a century.
    """
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    unit = units.get(text[-1:])
    try:
        length = timedelta(**{unit or "": float(text[:-1])})
    except (ValueError, TypeError, OverflowError):
        length = timedelta(0)
    if not timedelta(0) < length <= timedelta(days=36_525):  # a century, so that adding one to a moment stays a moment
        raise ValueError(f"{text!r} is no length of time such as '30s', '15m', '6h', '1d' or '2w'")
    return length


def format_duration(length: timedelta) -> str:
    """A length of time as people say it: `45 s`, `12 min`, `3 h`, `2 d`, `5 weeks`."""
    seconds = length.total_seconds()
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"), (3_024_000, 86_400, "d")):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 604_800:.3g} weeks"
