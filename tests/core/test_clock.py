"""Time stands still when told to, and lengths of time are read strictly."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.clock import ManualClock, SystemClock, format_duration, parse_duration


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    before = clock.now(), clock.monotonic()
    assert (clock.now(), clock.monotonic()) == before
    clock.advance(minutes=5)
    assert clock.now() - before[0] == timedelta(minutes=5)
    assert clock.monotonic() - before[1] == 300


def test_the_system_clock_tells_utc() -> None:
    assert SystemClock().now().tzinfo is UTC


@given(st.integers(1, 1000), st.sampled_from("smhdw"))
def test_a_whole_number_of_units_is_read_exactly(amount: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}[unit]
    assert parse_duration(f"{amount}{unit}") == timedelta(seconds=amount * seconds)


@pytest.mark.parametrize("text", ["", "5", "d", "5 days", "-1d", "0s", "nand", "infd", "999999999w", "1e9h", "5x"])
def test_what_is_no_length_of_time_is_refused_and_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no length of time") as refusal:
        parse_duration(text)
    assert repr(text) in str(refusal.value)


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(seconds=45), "45 s"),
        (timedelta(minutes=12), "12 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(days=2), "2 d"),
        (timedelta(weeks=5), "5 weeks"),
    ],
)
def test_a_length_of_time_is_told_as_people_say_it(length: timedelta, words: str) -> None:
    assert format_duration(length) == words
