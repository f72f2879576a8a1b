"""Event times that callers name: in UTC, and within bounds that every later computation can hold."""

from datetime import UTC, datetime, timedelta

from penstock.core.errors import InvalidInputError

FIRST = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(2200, 1, 1, tzinfo=UTC)
LONELY = timedelta(days=1)  # a row this far ahead of all others does not say how far event time has come
AHEAD = timedelta(hours=1)  # of the clock: event times beyond that are not believed


def read_event_time(at: datetime, field: str) -> datetime:
    """The moment in UTC; one that names no zone is in UTC already.

    Raises:
        InvalidInputError: it lies before 1970 or after 2199; `field` is the one given.
    """
    moment = at if at.tzinfo else at.replace(tzinfo=UTC)
    if not FIRST <= moment < LAST:
        raise InvalidInputError(f"{field}: {at.isoformat()} is not between 1970 and 2199", field=field)
    return moment.astimezone(UTC)
