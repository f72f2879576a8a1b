"""Sketches of tables: parts merge to the whole, bytes come back as they were, odd values raise nothing."""

import math
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.datasets.frames import open_files
from penstock.monitoring.scores import calibrate_scores, sketch_answers
from penstock.monitoring.sketches import (
    ColumnSketch,
    TableSketch,
    decode_sketch,
    encode_sketch,
    sketch_frame,
    sketch_table,
)
from penstock.monitoring.sketches.sketching import sketch_column

numbers = st.none() | st.floats() | st.integers(-(2**40), 2**40).map(float)
texts = st.none() | st.text(max_size=5) | st.sampled_from(["a", "b", "a b", ""])


def told(column: ColumnSketch) -> tuple[object, ...]:
    """What must not depend on how the rows were parted, where they are few."""
    return (
        column.family,
        column.rows,
        column.missing,
        column.distinct,
        column.several,
        column.numbers.weigh()[0].tolist(),
        None if column.labels is None else column.labels.counts,
        None if column.firsts is None else column.firsts.counts,
    )


@given(st.lists(numbers, max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_numbers_in_parts_are_the_whole(values: list[float | None], one: int, two: int) -> None:
    column = pl.Series("x", values, dtype=pl.Float64)
    cuts = sorted((one, two))
    first, second, third = (
        sketch_column(part) for part in (column[: cuts[0]], column[cuts[0] : cuts[1]], column[cuts[1] :])
    )
    whole = sketch_column(column)
    assert told(first.merge(second).merge(third)) == told(whole)
    assert told(first.merge(second.merge(third))) == told(whole)
    assert whole.missing == sum(value is None or not math.isfinite(value) for value in values)


@given(st.lists(texts, max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_texts_in_parts_are_the_whole(values: list[str | None], one: int, two: int) -> None:
    column = pl.Series("x", values, dtype=pl.String)
    cuts = sorted((one, two))
    first, second, third = (
        sketch_column(part) for part in (column[: cuts[0]], column[cuts[0] : cuts[1]], column[cuts[1] :])
    )
    whole = sketch_column(column)
    assert told(first.merge(second).merge(third)) == told(whole)
    assert told(first.merge(second.merge(third))) == told(whole)
    assert whole.missing == sum(not value for value in values)


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("x", [], dtype=pl.Float64),
        pl.Series("x", [None, None], dtype=pl.String),
        pl.Series("x", [None], dtype=pl.Null),
        pl.Series("x", [math.inf, -math.inf, math.nan, 1.0]),
        pl.Series("x", [2**64 - 1, 0, 2**53 + 1], dtype=pl.UInt64),
        pl.Series("x", [10**30, -(10**30)], dtype=pl.Int128),
        pl.Series("x", ["1.10", "2.20"]).cast(pl.Decimal(10, 2)),
        pl.Series("x", [True, None, False]),
        pl.Series("x", ["", "日本語", "\U0001f600 x", None]),
        pl.Series("x", ["a", "b"], dtype=pl.Categorical),
        pl.Series("x", ["a", "b"], dtype=pl.Enum(["a", "b", "c"])),
        pl.Series("x", [["a", "b"], [], None]),
        pl.Series("x", [[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2)),
        pl.Series("x", [{"a": 1}]),
        pl.Series("x", [datetime(2026, 1, 1), None]),
        pl.Series("x", [b"raw"]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_any_column_has_a_sketch_that_comes_back_from_its_bytes(column: pl.Series) -> None:
    sketch = sketch_frame(column.to_frame())
    data = encode_sketch(sketch)
    back = decode_sketch(data)
    assert encode_sketch(back) == data
    assert told(back.columns["x"]) == told(sketch.columns["x"])
    assert back.columns["x"].rows == len(column)
    assert encode_sketch(back.merge(sketch)) == encode_sketch(sketch.merge(back))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 9000))
def test_bytes_hold_all_of_a_large_sketch(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame({"a": rng.normal(size=rows), "b": rng.integers(0, 5000, rows).astype(str)})
    data = encode_sketch(sketch_frame(frame, [str(number) for number in rng.integers(0, 99, rows)]))
    assert encode_sketch(decode_sketch(data)) == data


def test_bytes_that_are_no_sketch_are_refused() -> None:
    data = encode_sketch(sketch_frame(pl.DataFrame({"a": [1.0]})))
    with pytest.raises(CorruptDataError, match=r"ref\.sketch is no sketch"):
        decode_sketch(b"PAR1", "ref.sketch")
    with pytest.raises(CorruptDataError, match="damaged"):
        decode_sketch(data[:-3])
    with pytest.raises(InvalidInputError, match="newer penstock"):
        decode_sketch(b"pssktch9" + data[8:])


def test_sketches_of_other_columns_do_not_merge() -> None:
    with pytest.raises(InvalidInputError, match="differ in the columns a, b"):
        sketch_frame(pl.DataFrame({"a": [1]})).merge(sketch_frame(pl.DataFrame({"b": [1]})))


def test_answers_and_chances_come_back_and_merge_too() -> None:
    rows = pl.DataFrame(
        {
            "status": ["ok", "ok", "error", "ok"],
            "output": ['{"prediction":"yes","score":0.9}', '{"prediction":"no","score":0.2}', '{"error":"x"}', "{}"],
            "outcome": ['"yes"', None, None, None],
        }
    )
    chances = calibrate_scores(rows, ["no", "yes"])
    assert chances is not None and (sum(chances.rows), sum(chances.known), sum(chances.events)) == (2, 1, 1)
    assert calibrate_scores(rows, ["a", "b", "c"]) is None
    answers = sketch_answers(rows)
    assert answers["prediction"].labels is not None and answers["prediction"].labels.counts == {"yes": 1, "no": 1}
    sketch = TableSketch(
        rows=4, columns={"x": sketch_column(pl.Series([1, 2, 3, 4]))}, outputs=answers, calibration=chances
    )
    twice = decode_sketch(encode_sketch(sketch.merge(sketch)))
    assert twice.outputs["score"].numbers.weigh()[0].tolist() == [0.2, 0.2, 0.9, 0.9]
    assert twice.calibration is not None and sum(twice.calibration.rows) == 4
    silent = TableSketch(rows=1, columns=sketch.columns)
    assert sketch.merge(silent).outputs["score"].held == 2


def test_nothing_merges_with_everything() -> None:
    sketch = sketch_frame(pl.DataFrame({"a": [1]}))
    assert TableSketch().merge(sketch) is sketch and sketch.merge(TableSketch()) is sketch


def test_a_wide_file_is_read_some_columns_at_a_time_and_keeps_its_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    halves = {f"c{number}": rng.integers(0, 4000, 300) / 2 for number in range(40)}  # which a CSV file holds exactly
    frame = pl.DataFrame(halves | {"t": ["a", "b", None] * 100})
    for name in ("rows.parquet", "rows.csv"):
        path = tmp_path / name
        frame.write_parquet(path) if name.endswith("parquet") else frame.write_csv(path)
        sketch = sketch_table(open_files([(name, path)]))
        assert list(sketch.columns) == frame.columns
        assert sketch.rows == 300
        assert encode_sketch(sketch) == encode_sketch(sketch_frame(frame))


def test_keys_make_rows_count_less_and_never_more_when_parts_are_merged() -> None:
    rng = np.random.default_rng(2)
    column = pl.DataFrame({"x": np.repeat(rng.normal(size=200), 5)})
    keys = [str(number) for number in np.repeat(np.arange(200), 5)]
    day = sketch_frame(column, keys).columns["x"]
    assert day.effect == pytest.approx(5, rel=0.1)
    twice = day.merge(day)  # the same customers came again, with the same values
    assert twice.effect == pytest.approx(2 * day.effect)
    alone = sketch_frame(column).columns["x"]
    assert alone.merge(alone).effect == 1
