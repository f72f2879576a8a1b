"""Times that come again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.cron import read_cron
from penstock.core.errors import InvalidInputError

NOW = datetime(2026, 11, 27, 4, 20, 30, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("line", "last"),
    [
        ("* * * * *", "2026-11-27T04:20"),
        ("0 3 * * 1", "2026-11-23T03:00"),
        ("0 5 * * *", "2026-11-26T05:00"),
        ("*/15 * * * *", "2026-11-27T04:15"),
        ("30 2 1 * *", "2026-11-01T02:30"),
        ("0 0 29 2 *", "2024-02-29T00:00"),
        ("0 0 13 * 5", "2026-11-27T00:00"),  # the 13th, or a Friday
        ("0 0 * * 7", "2026-11-22T00:00"),
        ("0 22-23 31 12 *", "2025-12-31T23:00"),
        ("5,50 3/6 * * 1-5", "2026-11-27T03:50"),
    ],
)
def test_the_last_time_up_to_now(line: str, last: str) -> None:
    assert read_cron(line).find_last(NOW) == datetime.fromisoformat(f"{last}:00+00:00")


def test_a_day_that_never_comes_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="never comes; no month that it names has a day 31"):
        read_cron("0 0 31 2,4 *")
    assert read_cron("0 0 31 2 1").find_last(NOW) == datetime(2026, 2, 23, tzinfo=UTC), "a Monday in February will do"


@pytest.mark.parametrize("line", ["", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *", "a b c d e"])
def test_what_is_no_such_time_is_refused(line: str) -> None:
    with pytest.raises(InvalidInputError):
        read_cron(line)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.integers(0, 59), st.integers(0, 23))
def test_a_daily_time_is_at_most_a_day_old(naive: datetime, minute: int, hour: int) -> None:
    now = naive.replace(tzinfo=UTC)
    last = read_cron(f"{minute} {hour} * * *").find_last(now)
    assert last is not None and timedelta(0) <= now - last < timedelta(days=1)
    assert (last.hour, last.minute) == (hour, minute)
