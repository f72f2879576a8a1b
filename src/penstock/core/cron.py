"""Times that come again, as a cron line says them: minute, hour, day of the month, month, day of the week; UTC.

As in Vixie cron, a day fits when either of its two fields does, where both are restricted; Sunday is 0 and 7.
"""

import re
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from penstock.core.errors import InvalidInputError

_FIELD = re.compile(r"(\*|\d{1,2}(-\d{1,2})?)(/\d{1,2})?(,(\*|\d{1,2}(-\d{1,2})?)(/\d{1,2})?)*")
_RANGES = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_LONGEST = {month: 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31 for month in range(1, 13)}
_LONGEST_DAYS = 8 * 366  # from one 29th of February to the next, around the turn of most centuries


class Cron(Struct, frozen=True):
    """A line, read."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]  # Sunday is 0
    by_either: bool  # a day of the month or of the week will do

    def find_last(self, now: datetime) -> datetime | None:
        """The last of its times up to a moment; None where there is none within eight years."""
        at = now.astimezone(UTC)
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(_LONGEST_DAYS):
            if self._fits(day):
                times = (day.replace(hour=hour, minute=minute) for hour in self.hours for minute in self.minutes)
                if (found := max((time for time in times if time <= at), default=None)) is not None:
                    return found
            day -= timedelta(days=1)
        return None

    def _fits(self, day: datetime) -> bool:
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        fits = of_month or of_week if self.by_either else of_month and of_week
        return fits and day.month in self.months


def read_cron(line: str) -> Cron:
    """A cron line of five fields.

    Raises:
        InvalidInputError: it is none.
    """
    fields = line.split()
    if len(fields) != len(_RANGES):
        hint = "write minute, hour, day, month and weekday, as in '0 3 * * 1' for Mondays at 03:00 UTC"
        raise InvalidInputError(f"{line!r} has {len(fields)} fields, and a time that comes again has 5", hint=hint)
    minutes, hours, days, months, weekdays = (
        _read_field(text, *bounds) for text, bounds in zip(fields, _RANGES, strict=True)
    )
    by_either = not (fields[2].startswith("*") or fields[4].startswith("*"))
    if not by_either and min(days) > max(_LONGEST[month] for month in months):
        raise InvalidInputError(f"{line!r} never comes", hint=f"no month that it names has a day {min(days)}")
    return Cron(minutes, hours, days, months, frozenset(day % 7 for day in weekdays), by_either)


def _read_field(text: str, name: str, first: int, last: int) -> frozenset[int]:
    if not _FIELD.fullmatch(text):
        raise InvalidInputError(f"{text!r} is no {name} of a time that comes again", hint="as in 5, 1-5, */15 or 1,15")
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        low, _, high = span.partition("-")
        start = first if span == "*" else int(low)
        end = last if span == "*" or (step and not high) else int(high or low)
        if not (first <= start <= end <= last) or (step and int(step) == 0):
            raise InvalidInputError(f"{part!r} is no {name}", hint=f"it lies in {first} to {last}")
        found.update(range(start, end + 1, int(step or 1)))
    return frozenset(found)
