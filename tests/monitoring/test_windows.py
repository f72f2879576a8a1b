"""Which window a moment belongs to."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from penstock.monitoring.windows import name_start, window_start

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
LENGTHS = st.timedeltas(timedelta(seconds=1), timedelta(weeks=5))


@given(at=MOMENTS, length=LENGTHS)
def test_every_moment_lies_in_exactly_its_window(at: datetime, length: timedelta) -> None:
    start = window_start(at, length)
    assert start <= at < start + length
    assert window_start(start, length) == start


def test_a_window_of_a_day_begins_at_midnight_and_one_of_a_week_on_a_monday() -> None:
    at = datetime(2011, 3, 17, 15, 30, tzinfo=UTC)
    assert window_start(at, timedelta(days=1)) == datetime(2011, 3, 17, tzinfo=UTC)
    assert window_start(at, timedelta(weeks=1)) == datetime(2011, 3, 14, tzinfo=UTC)


@given(at=MOMENTS, length=LENGTHS)
def test_windows_that_follow_each_other_have_different_names(at: datetime, length: timedelta) -> None:
    start = window_start(at, length)
    assert name_start(start) != name_start(start + length)
    assert datetime.fromisoformat(f"{name_start(start)}+00:00") == start
