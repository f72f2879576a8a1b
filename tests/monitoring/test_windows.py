"""Which window a moment belongs to, and when windows close."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from penstock.monitoring.windows import closed_windows, window_start

MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
LENGTHS = st.timedeltas(timedelta(seconds=1), timedelta(weeks=5))


@given(at=MOMENTS, length=LENGTHS)
def test_every_moment_lies_in_exactly_its_window(at: datetime, length: timedelta) -> None:
    start = window_start(at, length)
    assert start <= at < start + length
    assert window_start(start, length) == start


@given(first=MOMENTS, length=LENGTHS, windows=st.integers(0, 20), part=st.floats(0, 0.99))
def test_windows_close_when_the_watermark_passes_their_end(
    first: datetime, length: timedelta, windows: int, part: float
) -> None:
    watermark = window_start(first, length) + windows * length + part * length
    starts = list(closed_windows(first, watermark, length))
    assert len(starts) == windows
    assert all(start + length <= watermark for start in starts)


def test_a_window_of_a_day_begins_at_midnight_and_one_of_a_week_on_a_monday() -> None:
    at = datetime(2011, 3, 17, 15, 30, tzinfo=UTC)
    assert window_start(at, timedelta(days=1)) == datetime(2011, 3, 17, tzinfo=UTC)
    assert window_start(at, timedelta(weeks=1)) == datetime(2011, 3, 14, tzinfo=UTC)
