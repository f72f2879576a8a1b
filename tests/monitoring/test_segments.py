"""Drift in segments: found where all rows together hide it, within the same budget of false alarms, and named."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from lending_world import PROJECT, Lender
from penstock.monitoring.budget import AlarmBudget, list_segment_columns
from penstock.monitoring.calibration import Plan, calibrate_inputs
from penstock.monitoring.drift import SEGMENTS_SHARE, compare_inputs, compare_spans
from penstock.monitoring.incidents.labels import labels_of
from penstock.monitoring.monitor import Monitor
from penstock.monitoring.sketches import TableSketch, decode_sketch, sketch_cut_frame, sketch_reference
from penstock.monitoring.types import ColumnDrift, Window
from shop_world import DAY, START


def people(rng: np.random.Generator, rows: int, pro: float = 0.0) -> pl.DataFrame:
    """Customers; `pro` moves the age of those with that plan."""
    plan = rng.choice(["free", "pro"], rows, p=[0.9, 0.1])
    age = rng.normal(40, 10, rows) + pro * (plan == "pro")
    return pl.DataFrame({"age": age, "children": rng.poisson(1.5, rows), "plan": plan})


def compare(reference: TableSketch, rows: pl.DataFrame, level: float) -> list[ColumnDrift]:
    current = sketch_cut_frame(rows, [held.cut for held in reference.segments])
    return compare_inputs(reference, current, rows.columns, level=level)


def test_what_moves_in_one_segment_is_found_there_though_all_rows_together_hide_it() -> None:
    rng = np.random.default_rng(1)
    rows, now = people(rng, 4000), people(rng, 1000, pro=10)
    age, children, plan = compare(sketch_reference(rows, ["plan"]), now, 0.001)
    assert age.drifted and not age.drifted_as_a_whole and age.segments_drifted == ["plan=pro"]
    assert age.told == "age where plan=pro" and age.segments[0].rows == now.filter(pl.col("plan") == "pro").height
    assert not children.drifted and not plan.drifted
    assert not any(found.drifted for found in compare(sketch_reference(rows, []), now, 0.001))


def test_what_moves_in_all_rows_together_is_told_so_and_costs_little_of_the_level() -> None:
    rng = np.random.default_rng(2)
    rows, now = people(rng, 4000), people(rng, 1000).with_columns(pl.col("age") + 8)
    with_segments, without = (compare(sketch_reference(rows, cuts), now, 0.001)[0] for cuts in (["plan"], []))
    assert with_segments.drifted_as_a_whole and with_segments.told == "age"
    assert "plan=free" in with_segments.segments_drifted
    assert with_segments.level is not None and without.level is not None
    assert with_segments.level == pytest.approx((1 - SEGMENTS_SHARE) * without.level)


def test_all_columns_and_segments_together_alarm_falsely_as_often_as_the_level_says(
    request: pytest.FixtureRequest,
) -> None:
    rng = np.random.default_rng(3)
    alarms, (windows, most) = 0, (100, 33) if request.config.getoption("--thorough") else (40, 17)
    for _ in range(windows):
        reference = sketch_reference(people(rng, 1200), ["plan", "children"])
        alarms += any(found.drifted for found in compare(reference, people(rng, 300), 0.2))
    assert alarms <= most  # a fifth of the windows is expected at most; more by chance has a probability below 0.001


def test_the_budget_holds_over_replayed_windows_of_segments() -> None:
    rows = people(np.random.default_rng(4), 800)
    plan = Plan(replays=10, windows=16, window_rows=120)
    assert calibrate_inputs(rows, None, ["age", "children"], AlarmBudget(16, 16), plan, slices=["plan"]).holds


def test_a_small_move_in_a_segment_is_seen_in_several_windows_together() -> None:
    rng = np.random.default_rng(5)
    reference = sketch_reference(people(rng, 5000), ["plan"])
    cuts = [held.cut for held in reference.segments]
    windows = [sketch_cut_frame(people(rng, 200, pro=7), cuts) for _ in range(16)]
    levels, columns = AlarmBudget(1, 90).levels(16), ["age", "children"]
    together = windows[0]
    for window in windows[1:]:
        together = together.merge(window)
    assert not compare_spans(reference, {1: windows[-1]}, columns, levels)[0].drifted
    age = compare_spans(reference, {1: windows[-1], 16: together}, columns, levels)[0]
    assert (age.segments_drifted, age.windows) == (["plan=pro"], 16)


@pytest.fixture
def lender(tmp_path: Path) -> Lender:
    return Lender.open_released(tmp_path)


def live(lender: Lender, first: int, days: int, west: float = 0.0) -> list[Window]:
    for day in range(first, first + days):
        inputs = lender.people(400)
        moved = pl.when(pl.col("region") == "west").then(pl.col("noise") + west).otherwise(pl.col("noise"))
        lender.request(START + day * DAY, inputs.with_columns(noise=moved))
    Monitor(lender.services, lender.project).tick()
    return lender.services.monitoring.list_windows("lend")


def test_the_monitor_keeps_segments_of_the_columns_that_the_project_names_and_says_where_inputs_moved(
    lender: Lender,
) -> None:
    assert list_segment_columns(lender.project) == ["region"]
    windows = live(lender, 0, 2)
    assert windows[0].sketches is not None
    (held,) = decode_sketch(lender.services.objects.get_bytes(windows[0].sketches)).segments
    assert sum(part.rows for part in held.parts.values()) == 400
    assert held.parts["region=west"].calibration is not None and "score" in held.parts["region=west"].outputs
    assert live(lender, 2, 2, west=2.5)[-1].drifted_told == "noise where region=west"
    (alert,) = lender.services.monitoring.list_alerts("lend", "open")
    assert alert.kind == "drift" and "where region=west" in alert.summary and not alert.pages
    assert alert.evidence["segments"] == alert.evidence["columns"]["noise"]["segments"] == ["region=west"]
    assert "slice:region=west" in labels_of(alert.evidence)
    live(lender, 4, 1, west=2.5)
    assert lender.services.monitoring.list_alerts("lend", "open") == [alert]
    live(lender, 5, 2)
    assert lender.services.monitoring.list_alerts("lend", "open") == []


def test_columns_that_cut_no_window_are_told_with_the_reason(tmp_path: Path) -> None:
    asked = ["faith", "region", "income", "debt", "noise", "repaid"]
    lender = Lender.open_released(tmp_path, PROJECT.replace('sensitive = ["region"]', f"sensitive = {asked}"))
    window = live(lender, 0, 2)[0]
    assert window.segment_notes == [
        "no segments by faith: the reference has no such column",
        "no segments by repaid: rows are cut by 4 columns at most, which are region, income, debt, noise",
    ]
    (tmp_path / "other").mkdir()
    only = Lender.open_released(tmp_path / "other", PROJECT.replace('sensitive = ["region"]', 'sensitive = ["repaid"]'))
    window = live(only, 0, 2)[0]
    assert window.segment_notes == ["no segments by repaid: it is not among the inputs that are logged"]
