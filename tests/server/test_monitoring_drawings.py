"""What pages draw and tell of monitoring, without a server."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories import open_database
from penstock.core.project.parse import parse_project
from penstock.monitoring.service import MonitoringService
from penstock.monitoring.sketches.sketching import sketch_column
from penstock.monitoring.types import Estimate, GroupPerformance, Maturity, Performance, Window
from penstock.server.web.drawings.charts import EMPTY
from penstock.server.web.monitoring.distributions import compare_column
from penstock.server.web.monitoring.drift_map import MOST_CELLS, NARROW_CELLS, draw_drift
from penstock.server.web.monitoring.fairness import draw_fairness
from penstock.server.web.monitoring.performance import NARROW_WINDOWS, draw_coverage, draw_failures, draw_performance
from penstock.server.web.monitoring.pictures import picture_spreads
from penstock.server.web.monitoring.spending import draw_spending
from penstock.server.web.sources.remembered import Remembered
from penstock.server.web.sources.window_cache import WindowCache
from server.watched import DAY, START, alert, drift, window


def wide(drawing: str) -> str:
    """What a wide screen shows of a drawing."""
    return drawing.partition('<div class="on-narrow">')[0]


def test_columns_that_moved_most_stand_first() -> None:
    calm, once, now = drift("calm"), drift("once", 1e-9, drifted=True), drift("now", 1e-5, drifted=True)
    windows = [
        window(0, calm, once, drift("now"), drift("odd", 1e-3)),
        window(1, calm, once, drift("now"), drift("odd")),
        window(2, calm, drift("once"), now, drift("odd")),
    ]
    found = draw_drift(windows)
    root = ElementTree.fromstring(f"<all>{wide(found.drawing)}</all>")
    order = [row[0][0].text for row in root.iter("g") if row.get("class") == "row"]
    assert order == ["now", "once", "odd", "calm"]


def test_every_cell_leads_to_its_column_in_its_window_and_says_what_was_found() -> None:
    moved = drift("price", 1e-9, drifted=True, distance=0.4, new_share=0.2)
    drawing = draw_drift([window(0, drift("price")), window(1, moved)]).drawing
    assert 'href="/deployments/shop/windows/2026-01-06T00:00/price" tabindex="-1"' in drawing
    assert "price, 6 Jan 2026: drifted, p &lt; 0.0001 against a level of 0.001, distance 0.400, 20% new" in drawing
    assert "values that the reference lacks" in drawing and "how far it moved" in drawing


def test_a_name_is_one_tab_stop_and_leads_to_the_newest_window_in_which_it_moved() -> None:
    moved = drift("price", 1e-9, drifted=True)
    drawing = draw_drift([window(0, moved), window(1, moved), window(2, drift("price"))]).drawing
    stops = [link for link in wide(drawing).split("<a ")[1:] if 'tabindex="-1"' not in link.partition(">")[0]]
    assert len(stops) == 1
    assert stops[0].startswith('href="/deployments/shop/windows/2026-01-06T00:00/price"')


def test_columns_that_could_never_be_compared_and_those_beyond_the_limit_are_left_out() -> None:
    columns = [drift(f"c{number}") for number in range(30)]
    found = draw_drift([window(0, *columns, drift("name", None, note="it names the row"))], most=10)
    assert (found.columns, found.shown) == (30, 10)
    assert "name" not in found.drawing


def test_many_windows_share_cells_and_the_worst_of_them_is_shown() -> None:
    windows = [window(day, drift("price", 1e-9 if day == 501 else 0.5, drifted=day == 501)) for day in range(1000)]
    found = draw_drift(windows)
    assert found.per_cell == 14
    assert wide(found.drawing).count('<rect class="cell') <= MOST_CELLS
    assert wide(found.drawing).count('class="cell drifted"') == 1
    worst = START + DAY * 501
    assert f"windows/{worst:%Y-%m-%d}T00:00/price" in found.drawing


def test_a_narrow_screen_shows_the_newest_windows_or_those_around_the_one_that_is_told() -> None:
    windows = [window(day, drift("price")) for day in range(40)]
    narrow = draw_drift(windows).drawing.removeprefix(wide(draw_drift(windows).drawing))
    assert narrow.count('<rect class="cell') == NARROW_CELLS
    assert "price, 13 Feb 2026" in narrow and "price, 5 Jan 2026" not in narrow
    drawing = draw_performance(windows, [], None)
    assert drawing.removeprefix(wide(drawing)).count('class="hit"') == NARROW_WINDOWS
    drawing = draw_performance(windows, [], None, told=windows[3])
    assert "8 Jan 2026" in drawing.removeprefix(wide(drawing))


def test_a_map_of_a_thousand_windows_and_fifty_columns_stays_small() -> None:
    windows = [window(day, *[drift(f"c{number}", distance=0.3) for number in range(50)]) for day in range(1000)]
    assert len(draw_drift(windows).drawing) < 600_000


def test_the_estimate_stands_beside_what_was_measured() -> None:
    windows = [window(day, estimate=Estimate(metric="accuracy", value=0.8, low=0.7, high=0.9)) for day in range(3)]
    drawing = draw_performance(windows, [], None)
    assert "accuracy, measured" in drawing and "estimated before outcomes are known" in drawing
    assert 'class="line-2 broken"' in drawing
    assert "estimated" not in draw_performance([window(day) for day in range(3)], [], None)


def test_coverage_is_a_share_and_knows_what_is_expected() -> None:
    windows = [window(day, maturity=Maturity(answered=100, known=0.8, expected=0.95, matured=True)) for day in range(3)]
    drawing = draw_coverage(windows)
    assert "outcome known 80" in drawing and "expected by now 95" in drawing
    assert "% of predictions" in drawing


def test_failures_are_drawn_by_revision() -> None:
    assert "5 Jan 2026: revision 1 2.0000" in draw_failures([window(0), window(1)])


def test_fairness_has_a_line_for_each_group_and_the_gap() -> None:
    def group(name: str, value: float | None, note: str = "") -> GroupPerformance:
        held = None if value is None else Performance(metric="accuracy", value=value, rows=40)
        return GroupPerformance(column="sex", group=name, rows=40, performance=held, note=note)

    groups = [group("f", 0.8), group("m", 0.9), group("x", None, "few")]
    views = draw_fairness([window(day, groups=groups) for day in range(2)])
    assert [view.column for view in views] == ["sex"]
    assert "f 0.8000" in views[0].groups and "m 0.9000" in views[0].groups
    assert "gap between the best and the worst group 0.1000" in views[0].gap
    assert [group.note for group in views[0].newest] == ["", "", "few"]
    assert draw_fairness([window(0)]) == []


PROJECT = """
[project]
name = "shop"
task = "binary"
[pipeline]
entry = "pipeline:train"
[monitor]
window = "1d"
false_alarms = "1 per 10d"
performance = { metric = "accuracy", at_least = 0.8 }
"""


def test_what_was_spent_of_the_budget_is_the_sum_of_levels_in_its_period(tmp_path: Path) -> None:
    project = parse_project(PROJECT, root=tmp_path)
    windows = [window(day, level=0.02) for day in range(30)]
    raised = [alert(5), alert(25), alert(26, "performance"), alert(27, "performance", evidence={"below_bar": True})]
    found = draw_spending(project, windows, raised)
    assert found is not None
    held = {watch.watch: watch for watch in found.figures.watches}
    assert found.figures.start == START + timedelta(days=20)
    assert (held["inputs"].used, held["inputs"].raised) == (pytest.approx(0.2), 1)
    assert (held["loss"].raised, held["bar"].raised) == (1, 1)
    assert sum(watch.allowed for watch in found.figures.watches) == pytest.approx(1)
    assert found.meters.keys() == held.keys()
    assert wide(found.drawing).count('class="alert"') == 4  # those before the period are seen as well
    assert draw_spending(project, [], []) is None


@given(
    before=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=60),
    after=st.lists(st.sampled_from(["a", "b", "d", None]), min_size=1, max_size=60),
)
def test_shares_of_values_add_up_on_either_side(before: list[str | None], after: list[str | None]) -> None:
    first, second = (sketch_column(pl.Series(held, dtype=pl.String)) for held in (before, after))
    found = compare_column("c", first, second)
    if not any(before):
        assert found.note
        return
    for side in ("before", "after"):
        assert sum(getattr(bar, side) for bar in found.spread.bars) == pytest.approx(1)
    names = [{label or "missing" for label in held} for held in (after, before)]
    assert set(found.new) == names[0] - names[1]


def test_rare_values_share_a_bar_and_a_new_one_that_is_frequent_is_named() -> None:
    reference = sketch_column(pl.Series([f"v{number % 40}" for number in range(400)]))
    current = sketch_column(pl.Series(["new"] * 50 + [f"v{number % 40}" for number in range(50)]))
    found = compare_column("c", reference, current)
    assert found.spread.bars[-1].label == "others"
    assert found.new == ("new",)
    assert sum(bar.after for bar in found.spread.bars) == pytest.approx(1)


def test_ranges_hold_what_lies_beyond_the_reference() -> None:
    rng = np.random.default_rng(1)
    reference, current = (sketch_column(pl.Series(rng.normal(mean, 1, 500))) for mean in (0, 9))
    found = compare_column("x", reference, current)
    assert found.spread.is_ranges
    assert sum(bar.after for bar in found.spread.bars) == pytest.approx(1)
    assert sum(bar.before for bar in found.spread.bars[-6:]) == 0


def test_the_cache_reads_only_what_is_new_or_revised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monitoring = MonitoringService(open_database(tmp_path))
    for day in range(5):
        monitoring.record_window(window(day, loss=None))
    cache, read = WindowCache(), []
    list_windows = monitoring.list_windows

    def count(*args: Any, **kwargs: Any) -> list[Window]:
        read.append(list_windows(*args, **kwargs))
        return read[-1]

    monkeypatch.setattr(monitoring, "list_windows", count)
    assert cache.read(monitoring, "shop", 100) == list_windows("shop")
    assert cache.read(monitoring, "shop", 3) == list_windows("shop", limit=3)
    assert [len(found) for found in read] == [5]
    monitoring.record_window(window(3, loss=None, rows=7))
    monitoring.record_window(window(5, loss=None))
    assert cache.read(monitoring, "shop", 100) == list_windows("shop")
    assert [len(found) for found in read] == [5, 3]
    assert cache.read(monitoring, "shop", 100) == list_windows("shop")
    assert cache.read(monitoring, "other", 100) == []
    assert len(read) == 2


def test_of_what_is_remembered_the_oldest_goes_first() -> None:
    made: list[int] = []
    held: Remembered[int] = Remembered(2)
    for key in (1, 2, 1, 3, 1, 2):
        assert held.get(key, lambda key=key: made.append(key) or key) == key  # type: ignore[misc]
    assert made == [1, 2, 3, 2]


def test_without_windows_nothing_is_drawn() -> None:
    assert draw_performance([], [], None) == EMPTY
    assert draw_coverage([]) == EMPTY


def test_lists_have_a_picture_for_their_items_and_one_for_their_lengths() -> None:
    before, now = sketch_column(pl.Series([["a", "b"], ["b"]] * 9)), sketch_column(pl.Series([["b", "c"], ["b"]] * 9))
    items, newest, lengths = picture_spreads(compare_column("basket", before, now), "basket")
    assert [(row.label, row.before, row.after, row.is_new) for row in items.values] == [
        ("b", 1.0, 1.0, False),
        ("a", 0.5, 0.0, False),
        ("c", 0.0, 0.5, True),
    ]
    assert newest.title == "Newest item" and not newest.chart
    assert lengths.chart is not None and "Length of basket in the reference and in this window" in lengths.chart
    (whole,) = picture_spreads(compare_column("age", *[sketch_column(pl.Series([0.5, 1.5] * 30))] * 2), "age")
    assert not whole.title and whole.chart is not None and "Values of age in the reference" in whole.chart
