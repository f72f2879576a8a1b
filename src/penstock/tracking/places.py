"""Where a point stands in the tables, and how many points go in one call."""

from datetime import UTC, datetime

from penstock.core.errors import InvalidInputError
from penstock.storage.columns import to_microseconds

BATCH_LIMIT = 10_000  # points
_EARLIEST = to_microseconds(datetime(1, 1, 1, tzinfo=UTC))
_LATEST = to_microseconds(datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))


def check_place(step: int, at: int, value: int) -> None:
    """Refuse what is no place of a point in the tables: step, microseconds since 1970, and the value as an integer.

    Raises:
        InvalidInputError: a number does not fit in 64 bits, or the time is outside the years 1 to 9999.
    """
    if not all(-(2**63) <= number < 2**63 for number in (step, value)):
        raise InvalidInputError("a step or value does not fit in 64 bits", field="points")
    if not _EARLIEST <= at <= _LATEST:
        raise InvalidInputError("a time is outside the years 1 to 9999", field="points")
