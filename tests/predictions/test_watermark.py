"""How far event time has come, whatever the clocks of those who send say."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from penstock.predictions.watermark import find_watermark

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
LATER = datetime(2026, 8, 1, tzinfo=UTC)  # when a history is replayed


def test_of_live_traffic_the_newest_time_counts_however_long_nothing_came() -> None:
    assert find_watermark(NOW - 90 * DAY, [(NOW, NOW)]) == NOW


def test_in_a_history_one_time_far_ahead_does_not_count_until_another_confirms_it() -> None:
    assert find_watermark(NOW, [(NOW + 30 * DAY, LATER)]) == NOW
    assert find_watermark(NOW, [(NOW + 30 * DAY, LATER), (NOW + 30 * DAY - HOUR, LATER)]) == NOW + 30 * DAY


def test_in_a_history_a_lone_time_within_a_day_counts() -> None:
    assert find_watermark(NOW, [(NOW + DAY, LATER)]) == NOW + DAY


def test_the_first_time_of_all_counts_and_of_two_far_apart_the_older_one() -> None:
    assert find_watermark(None, []) is None
    assert find_watermark(None, [(NOW, LATER)]) == NOW
    assert find_watermark(None, [(NOW + 30 * DAY, LATER), (NOW, LATER)]) == NOW


@given(st.lists(st.integers(0, 400), min_size=1, max_size=20), st.integers(0, 20))
def test_more_times_never_take_back_what_two_of_them_showed(hours: list[int], more: int) -> None:
    def find(some: list[int]) -> datetime | None:
        return find_watermark(NOW, [(NOW + hour * HOUR, LATER) for hour in sorted(some, reverse=True)])

    before, after = find(hours), find([*hours, more * 20])
    assert before is not None and after is not None and after >= before
