"""Charts: what is drawn lies where it should, axes are round, and the legend matches the drawing."""

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.server.web.drawings.charts import EMPTY, Bar, Mark, Point, Series, line_chart
from penstock.server.web.drawings.heat import Cell, Row, heat_map
from penstock.server.web.drawings.plot import fit_values, time_ticks
from penstock.server.web.drawings.strips import common_range, interval_strip, share_meter, stretch_strip

START = datetime(2026, 1, 5, tzinfo=UTC)
WEEK = timedelta(weeks=1)
NUMBERS = st.floats(-1e9, 1e9, allow_nan=False).filter(lambda value: value == 0 or abs(value) > 1e-6)


def points(values: list[float]) -> list[Point]:
    return [Point(START + WEEK * week, value, value - 0.1, value + 0.1) for week, value in enumerate(values)]


def read(drawing: str) -> ElementTree.Element:
    """The drawing as XML; a name that is not escaped would not be any."""
    return ElementTree.fromstring(drawing)


def test_a_chart_of_nothing_says_so() -> None:
    assert line_chart([], title="t") == EMPTY
    assert line_chart([Series("a", [])], title="t") == EMPTY


def test_names_are_escaped() -> None:
    mark = Mark(START, "takeover", "<b>", '"quoted" & <b>')
    drawing = line_chart([Series("<i>&", points([1, 2]))], title='"><script>', unit="<u>", marks=[mark])
    titles = [element.text for element in read(drawing).iter("title")]
    assert '"quoted" & <b>' in titles


def test_the_legend_tells_what_is_drawn_and_only_that() -> None:
    plain = line_chart([Series("a", [Point(START, 1.0), Point(START + WEEK, 2.0)])], title="t")
    assert "figcaption" not in plain
    full = line_chart(
        [Series("recall", points([0.1, 0.2]))],
        title="t",
        marks=[Mark(START, "takeover", "version 2", "m"), Mark(START, "alert", "drift", "a")],
        bar=Bar(0.1, "at least 0.1"),
    )
    legend = "".join(read(full).find("figcaption").itertext())  # type: ignore[union-attr]
    assert legend == "recall95% intervalat least 0.1another version took overalert"


def test_a_mark_outside_the_time_that_is_drawn_is_left_out() -> None:
    drawing = line_chart(
        [Series("a", points([1, 2]))], title="t", marks=[Mark(START - WEEK, "takeover", "version 9", "m")]
    )
    assert "version 9" not in drawing
    assert "took over" not in drawing


def test_a_single_point_and_equal_values_can_be_drawn() -> None:
    for values in ([0.5], [0.0, 0.0], [-3.0, -3.0, -3.0], [1e-9, 1e-9], [1e12, 1e12]):
        assert "NaN" not in line_chart([Series("a", [Point(n, value) for n, value in enumerate(values)])], title="t")


def test_steps_are_drawn_on_an_axis_of_steps() -> None:
    drawing = line_chart([Series("loss", [Point(step, 1 / (step + 1)) for step in range(30)])], title="t")
    texts = [element.text for element in read(drawing).iter("text")]
    assert "step" in texts
    assert "event time" not in texts
    assert "10" in texts


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.booleans())
def test_an_axis_holds_all_values_between_round_numbers(values: list[float], from_zero: bool) -> None:
    shown = [abs(value) for value in values] if from_zero else values
    low, high, step = fit_values(shown, from_zero=from_zero)
    assert low <= min(shown) + 1e-9 * abs(min(shown))
    assert high >= max(shown)
    assert (high - low) / step < 9
    assert abs(low / step - round(low / step)) < 1e-6
    assert not from_zero or low == 0


@given(st.integers(60, 20 * 366 * 86_400), st.integers(0, 10**9))
def test_ticks_lie_in_the_time_that_is_drawn_and_are_few(length_s: int, offset_s: int) -> None:
    start = START.timestamp() + offset_s
    ticks = time_ticks(start, start + length_s, 10)
    assert len(ticks) <= 11
    assert all(start <= moment.timestamp() <= start + length_s for moment, _ in ticks)


def test_weeks_are_ticked_on_mondays() -> None:
    ticks = time_ticks(START.timestamp(), (START + 20 * WEEK).timestamp(), 12)
    assert {moment.weekday() for moment, _ in ticks} == {0}
    assert ticks[0][1] == "5 Jan"


def test_fifty_windows_fit_into_a_map_beside_their_columns() -> None:
    tones = ("calm", "odd", "odder", "drifted", "none")
    rows = [
        Row(name, [Cell(START + WEEK * n, START + WEEK * (n + 1), tones[n % 5], f"{name} {n}") for n in range(50)])
        for name in ("aisle", "a_column_with_a_very_long_name")
    ]
    drawing = heat_map(rows, title="drift")
    cells = [element for element in read(drawing).iter("rect") if "cell" in element.attrib["class"]]
    places = [float(cell.attrib["x"]) for cell in cells[:50]]
    widths = {cell.attrib["width"] for cell in cells}
    assert len(cells) == 100
    assert places == sorted(places)
    assert all(float(width) > 10 for width in widths)
    assert "a_column_with_a_very_long_name" in drawing
    assert re.findall(r"key-cell (\w+)", drawing) == ["calm", "odd", "odder", "drifted", "none"]


def test_a_map_of_nothing_says_so() -> None:
    assert "No window" in heat_map([], title="t")


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 1.0])
def test_the_shares_of_a_meter_add_up(share: float) -> None:
    widths = [float(rect.attrib["width"]) for rect in read(share_meter(share, "m")).iter("rect")]
    assert sum(widths) == pytest.approx(100)
    assert widths[1] == pytest.approx(100 * share)


def test_intervals_share_one_range() -> None:
    ends = common_range([0.2, 0.8, None])
    drawing = read(interval_strip(ends, 0.5, 0.2, 0.8, reference=0.6))
    line = next(element for element in drawing.iter("line") if element.attrib["class"] == "interval")
    assert 0 < float(line.attrib["x1"]) < float(line.attrib["x2"]) < 160
    assert interval_strip(ends, None, None, None) == ""


def test_what_took_no_time_is_still_seen() -> None:
    rect = next(read(stretch_strip(common_range([0.0, 10.0]), 5.0, 5.0, "cached")).iter("rect"))
    assert float(rect.attrib["width"]) > 0
