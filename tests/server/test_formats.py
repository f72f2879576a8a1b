"""Numbers, moments and lengths of time as pages write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from penstock.server.web.words.formats import (
    format_bytes,
    format_cell,
    format_change,
    format_interval,
    format_length,
    format_measure,
    format_milliseconds,
    format_moment,
    format_number,
    format_p_value,
    format_share,
    shorten,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (8571, "8,571"),
        (0.84555, "0.8456"),
        (1e-5, "1e-05"),
        (10290.4, "10,290"),
        (1234567.8, "1,234,568"),
    ],
)
def test_numbers_have_four_digits_that_count(value: float | None, text: str) -> None:
    assert format_number(value) == text


def test_numbers_that_are_none_are_said() -> None:
    assert format_number(float("nan")) == "nan"
    assert format_measure(float("inf")) == "inf"


def test_metrics_line_up_under_one_another() -> None:
    assert [format_measure(value) for value in (0.99, 0.5, 1, -0.01, None)] == [
        "0.9900",
        "0.5000",
        "1.0000",
        "−0.0100",
        "–",
    ]
    assert format_measure(1234.5) == "1,234"
    assert format_interval(0.1, 0.25) == "0.1000 to 0.2500"
    assert format_interval(None, 0.25) == "–"


def test_changes_have_a_sign() -> None:
    assert [format_change(value) for value in (0.425, -0.425, 0.0)] == ["+0.4250", "−0.4250", "+0.0000"]


def test_tiny_p_values_are_not_spelled_out() -> None:
    assert [format_p_value(value) for value in (3e-64, 0.0123, 1.0, None)] == ["< 0.0001", "0.012", "1", "–"]


def test_shares_are_whole_where_a_digit_says_nothing() -> None:
    assert [format_share(value) for value in (0.25, 0.05, 0.0032, 1.0, 0.0)] == ["25%", "5%", "0.3%", "100%", "0%"]


def test_sizes_and_times_are_said_as_people_do() -> None:
    assert [format_bytes(value) for value in (41, 5_520, 96_748_000)] == ["41 bytes", "5.52 kB", "96.7 MB"]
    assert [format_milliseconds(value) for value in (3.548, 91.2, 1800.0, None)] == ["3.5 ms", "91 ms", "1.8 s", "–"]
    lengths = (0.5, 42, 485, 29_100, 604_800, 90_061)
    told = [format_length(timedelta(seconds=seconds)) for seconds in lengths]
    assert told == ["0.5 s", "42 s", "8 min 5 s", "8 h 5 min", "7 d", "1 d 1 h"]


def test_moments_are_utc_whatever_zone_they_came_in() -> None:
    moment = datetime(2026, 5, 18, 2, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    element = '<time datetime="2026-05-18T00:04:05Z" title="2026-05-18 00:04:05 UTC">18 May 2026, 00:04</time>'
    assert format_moment(moment) == element
    assert format_moment(None) == "–"


def test_cells_of_data_are_shown_by_their_kind() -> None:
    assert format_cell("2026-01-05T02:08:13+00:00") == format_moment(datetime(2026, 1, 5, 2, 8, 13, tzinfo=UTC))
    assert [format_cell(value) for value in (None, 0.123456, "2026-01-05", "tea", True)] == [
        "–", "0.1235", "2026-01-05", "tea", "True",
    ]  # fmt: skip


def test_long_names_are_shortened_with_the_whole_at_hand() -> None:
    assert shorten("a" * 64, 4) == f'<span title="{"a" * 64}">aaaa</span>'
    assert shorten("<b>") == "&lt;b&gt;"
    assert shorten('"><script>alert(1)</script>', 5) == (
        '<span title="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;">&#34;&gt;&lt;sc</span>'
    )
