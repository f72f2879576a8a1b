"""Drift of inputs: what is found, what is left out, and how rarely it is found where there is none."""

from functools import reduce

import numpy as np
import polars as pl
import pytest

from penstock.monitoring.budget import AlarmBudget
from penstock.monitoring.drift import compare_inputs, compare_spans
from penstock.monitoring.sketches import TableSketch, sketch_frame


def found(reference: pl.DataFrame, current: pl.DataFrame, *, level: float = 0.01) -> list[str]:
    columns = reference.columns
    return [
        drift.column
        for drift in compare_inputs(sketch_frame(reference), sketch_frame(current), columns, level=level)
        if drift.drifted
    ]


def draw(rng: np.random.Generator, n: int, *, shift: float = 0.0, colours: str = "rrrggb") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "age": rng.normal(40 + shift, 10, n),
            "colour": rng.choice(list(colours), n),
            "children": rng.poisson(1.5, n),
        }
    )


def test_samples_of_one_source_do_not_drift() -> None:
    rng = np.random.default_rng(1)
    assert found(draw(rng, 3000), draw(rng, 1000)) == []


def test_new_values_of_few_rows_are_counted_and_not_named() -> None:
    rng = np.random.default_rng(2)
    before, now = draw(rng, 3000), draw(rng, 1000)
    new = pl.Series(
        "colour", ["pink"] * 30 + [f"secret {number}" for number in range(20)] + now["colour"][50:].to_list()
    )
    (age, colour, _) = compare_inputs(
        sketch_frame(before), sketch_frame(now.with_columns(new)), before.columns, level=0.01
    )
    assert not age.drifted and colour.drifted
    assert colour.note == "5.0% of the rows hold 21 values the reference lacks: pink ..."


def test_a_shifted_number_is_found_and_named() -> None:
    rng = np.random.default_rng(2)
    assert found(draw(rng, 3000), draw(rng, 1000, shift=3)) == ["age"]


def test_changed_shares_of_categories_are_found() -> None:
    rng = np.random.default_rng(3)
    assert found(draw(rng, 3000), draw(rng, 1000, colours="rrggbb")) == ["colour"]


def test_new_categories_are_found_and_their_share_told() -> None:
    rng = np.random.default_rng(4)
    reference, current = draw(rng, 3000), draw(rng, 1000, colours="rrrggbx")
    colour = compare_inputs(sketch_frame(reference), sketch_frame(current), ["colour"], level=0.01)[0]
    assert colour.drifted
    assert colour.new_share == pytest.approx(1 / 7, abs=0.05)
    assert "x" in colour.note


def test_a_column_that_names_the_row_is_left_out_with_the_reason() -> None:
    ids = pl.DataFrame({"id": [f"a{number}" for number in range(500)]})
    result = compare_inputs(sketch_frame(ids), sketch_frame(ids), ["id"], level=0.01)[0]
    assert (result.test, result.drifted) == ("none", False)
    assert "names the row" in result.note


def test_times_missing_columns_and_empty_ones_are_left_out_with_the_reason() -> None:
    frame = pl.DataFrame({"at": pl.datetime_range(pl.date(2020, 1, 1), pl.date(2020, 2, 1), eager=True)})
    frame = frame.with_columns(nothing=pl.lit(None, pl.Float64))
    notes = [
        result.note
        for result in compare_inputs(sketch_frame(frame), sketch_frame(frame), ["at", "b", "nothing"], level=0.01)
    ]
    assert notes[0] == "time moves by itself"
    assert "no such column" in notes[1]
    assert "no value" in notes[2]


def test_of_a_list_of_items_the_newest_counts() -> None:
    rng = np.random.default_rng(5)
    items = [f"item{number}" for number in range(8)]

    def lists(weights: list[float], n: int) -> pl.DataFrame:
        newest = rng.choice(items, n, p=np.array(weights) / sum(weights))
        return pl.DataFrame({"recent": [f"{item} {rng.choice(items)} item1" for item in newest]})

    even, uneven = [1.0] * 8, [3.0] + [1.0] * 7
    reference = lists(even, 2000)
    drift = compare_inputs(sketch_frame(reference), sketch_frame(lists(uneven, 800)), ["recent"], level=0.01)[0]
    assert drift.drifted and "newest item" in drift.note
    assert found(reference, lists(even, 800)) == []


def test_a_burst_of_missing_numbers_is_found() -> None:
    rng = np.random.default_rng(6)
    reference = draw(rng, 2000)
    current = draw(rng, 800).with_columns(
        age=pl.when(pl.int_range(pl.len()) % 10 == 0).then(None).otherwise(pl.col("age"))
    )
    assert found(reference, current) == ["age"]


def test_false_alarms_over_all_columns_keep_to_the_level(request: pytest.FixtureRequest) -> None:
    rng = np.random.default_rng(7)
    windows, most = (300, 45) if request.config.getoption("--thorough") else (100, 19)
    alarms = sum(bool(found(draw(rng, 2000), draw(rng, 300), level=0.1)) for _ in range(windows))
    assert alarms <= most  # a tenth of the windows is expected at most; more by chance has a probability below 0.003


def test_rows_of_one_customer_do_not_pass_for_evidence() -> None:
    """40 customers, each with one colour and 25 rows: row by row nearly every window would alarm."""
    rng = np.random.default_rng(8)

    def customers(keyed: bool) -> TableSketch:
        colours = rng.choice(list("rgb"), 40)
        rows = pl.DataFrame({"colour": np.repeat(colours, 25)})
        return sketch_frame(rows, [str(number) for number in np.repeat(np.arange(40), 25)] if keyed else None)

    def alarms(keyed: bool) -> int:
        count = 0
        for _ in range(100):
            count += compare_inputs(customers(keyed), customers(keyed), ["colour"], level=0.05)[0].drifted
        return count

    assert alarms(keyed=False) > 60
    assert alarms(keyed=True) <= 14  # expected 5


def test_a_shift_too_small_for_one_window_is_seen_in_several_together() -> None:
    rng = np.random.default_rng(10)
    reference = sketch_frame(draw(rng, 5000))
    windows = [sketch_frame(draw(rng, 100, shift=2)) for _ in range(16)]
    together = reduce(TableSketch.merge, windows)
    budget = AlarmBudget(1, 90)
    alone = compare_spans(reference, {1: windows[-1]}, ["age", "colour"], budget.levels(16))
    found = compare_spans(reference, {1: windows[-1], 16: together}, ["age", "colour"], budget.levels(16))
    assert [column.drifted for column in alone] == [False, False]
    assert [(column.drifted, column.windows) for column in found] == [(True, 16), (False, 1)]


def test_more_categories_than_are_named_are_compared_by_buckets_and_keep_to_the_level() -> None:
    rng = np.random.default_rng(11)
    names = np.array([f"item-{number}" for number in range(4000)])
    even = np.full(4000, 1 / 4000)
    uneven = np.where(np.arange(4000) < 40, 6.0, 1.0)

    def items(chances: np.ndarray, n: int) -> TableSketch:
        return sketch_frame(pl.DataFrame({"item": rng.choice(names, n, p=chances / chances.sum())}))

    reference = items(even, 40_000)
    alarms = sum(compare_inputs(reference, items(even, 3000), ["item"], level=0.1)[0].drifted for _ in range(60))
    assert alarms <= 14  # expected 6
    (moved,) = compare_inputs(reference, items(uneven, 20_000), ["item"], level=0.001)
    assert moved.drifted and "256 groups" in moved.note


def test_large_sketches_allow_for_what_they_do_not_know_and_still_find_a_shift() -> None:
    rng = np.random.default_rng(12)

    def numbers(shift: float) -> TableSketch:
        parts = [sketch_frame(pl.DataFrame({"x": rng.normal(shift, 1, 20_000)})) for _ in range(5)]
        return reduce(TableSketch.merge, parts)

    reference = numbers(0)
    assert not any(compare_inputs(reference, numbers(0), ["x"], level=0.2)[0].drifted for _ in range(10))
    assert compare_inputs(reference, numbers(0.05), ["x"], level=0.001)[0].drifted


def test_the_stability_index_stands_beside_its_critical_value() -> None:
    rng = np.random.default_rng(13)
    still = compare_inputs(sketch_frame(draw(rng, 3000)), sketch_frame(draw(rng, 1000)), ["age"], level=0.01)[0]
    moved = compare_inputs(sketch_frame(draw(rng, 3000)), sketch_frame(draw(rng, 1000, shift=5)), ["age"], level=0.01)[
        0
    ]
    assert still.psi is not None and still.psi_critical is not None and still.psi < still.psi_critical
    assert moved.psi is not None and moved.psi_critical is not None and moved.psi > moved.psi_critical
