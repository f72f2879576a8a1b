"""Segments: cut as the reference says, bounded in number and size, merged part by part."""

from functools import reduce
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from penstock.datasets.frames import open_files
from penstock.monitoring.sketches import (
    SEGMENT_ROOM,
    TableSketch,
    decode_sketch,
    encode_sketch,
    find_cuts,
    sketch_cut_frame,
    sketch_frame,
    sketch_reference,
    sketch_table,
)
from penstock.monitoring.sketches.cuts import MOST_COLUMNS, MOST_VALUES

# Two rows, x and y, of a column a, as they were kept before there were segments.
OLD = bytes.fromhex(
    "7073736b746368319402919ca161a4746578740200c2939000cb00000000000000009500cb0000000000000000cb0000"
    "000000000000cb7ff0000000000000cbfff0000000000000c09582a17801a179010200c0c0c000cb0000000000000000"
    "90c0"
)


def people(rows: int, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    plans = rng.choice(["free", "pro", None], rows, p=[0.6, 0.3, 0.1])
    return pl.DataFrame({"age": rng.normal(40, 10, rows), "plan": plans, "children": rng.integers(0, 4, rows)})


def test_parts_of_a_table_are_cut_alike_and_merge_to_the_segments_of_the_whole(tmp_path: Path) -> None:
    rows = people(900)
    reference = sketch_reference(rows, ["plan", "age", "children", "nothing"])
    cuts = [held.cut for held in reference.segments]
    assert [cut.column for cut in cuts] == ["plan", "age", "children"]
    parts = [sketch_cut_frame(rows[start : start + 300], cuts) for start in (0, 300, 600)]
    merged = reduce(TableSketch.merge, parts)
    for whole, held in zip(reference.segments, merged.segments, strict=True):
        assert whole.parts.keys() == held.parts.keys() and sum(part.rows for part in held.parts.values()) == 900
        for name, part in held.parts.items():
            assert part.rows == whole.parts[name].rows
            ages = [each.columns["age"].numbers.weigh()[0].tolist() for each in (part, whole.parts[name])]
            assert not part.columns["age"].numbers.is_exact or ages[0] == ages[1]
    free = reference.segments[0].parts["plan=free"]
    assert free.rows == rows.filter(pl.col("plan") == "free").height
    assert reference.segments[0].parts["plan=(other)"].rows == rows["plan"].null_count()
    path = tmp_path / "rows.parquet"
    rows.write_parquet(path, row_group_size=200)
    read = sketch_table(open_files([("rows.parquet", path)]), cuts=cuts)
    assert [{n: p.rows for n, p in held.parts.items()} for held in read.segments] == [
        {n: p.rows for n, p in held.parts.items()} for held in reference.segments
    ]


def test_segments_survive_as_bytes_and_older_sketches_have_none() -> None:
    sketch = sketch_reference(people(300), ["plan", "age"])
    data = encode_sketch(sketch)
    assert encode_sketch(decode_sketch(data)) == data
    assert decode_sketch(data).segments[1].cut == sketch.segments[1].cut
    assert decode_sketch(OLD).segments == () and decode_sketch(OLD).rows == 2


def test_rows_with_and_without_segments_merge_to_rows_without() -> None:
    cut, plain = sketch_reference(people(100), ["plan"]), sketch_frame(people(100))
    assert cut.merge(plain).segments == plain.merge(cut).segments == ()
    assert cut.merge(sketch_reference(people(100), ["age"])).segments == ()
    assert list(cut.merge(sketch_reference(people(100), ["age"])).uncut) == ["age", "plan"]
    assert cut.merge(sketch_cut_frame(people(90), [cut.segments[0].cut])).uncut == {}


def test_segments_are_bounded_in_number_and_in_size() -> None:
    rng = np.random.default_rng(2)
    texts = {f"c{number}": rng.integers(0, 90, 30_000).astype(str) for number in range(6)}
    rows = pl.DataFrame({"x": rng.normal(size=30_000), **texts})
    sketch = sketch_reference(rows, list(texts))
    assert len(sketch.segments) == MOST_COLUMNS
    assert sketch.uncut == dict.fromkeys(["c4", "c5"], "rows are cut by 4 columns at most, which are c0, c1, c2, c3")
    assert decode_sketch(encode_sketch(sketch)).uncut == sketch.uncut
    assert all(len(held.parts) == MOST_VALUES + 1 for held in sketch.segments)
    others = sketch.segments[0].parts["c0=(other)"].columns["x"]
    assert others.rows > 20_000 and 0 < others.numbers.rank_error(1e-13) < 0.05
    assert sum(map(len, others.numbers.levels)) <= 3 * SEGMENT_ROOM and others.distinct == pytest.approx(
        27_000, rel=0.3
    )


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["a", "b", "a"] * 20, ["c=a", "c=b", "c=(other)"]),
        ([True, False] * 20, ["c=0", "c=1", "c=(other)"]),
        ([1.0, 2.5] * 20, ["c=1", "c=2.5", "c=(other)"]),
        ([float(n) for n in range(40)], ["c=below 9", "c=9 to 19", "c=19 to 29", "c=29 and above", "c=(other)"]),
        ([str(n) for n in range(40)], []),
        ([None] * 40, []),
    ],
)
def test_values_and_ranges_are_segments_and_names_of_rows_are_not(values: list[object], names: list[str]) -> None:
    column = pl.Series("c", values)
    cuts = find_cuts(sketch_frame(column.to_frame()).columns, ["c"])
    assert [name for cut in cuts for name in cut.names] == names
    for cut in cuts:
        assert cut.names[-1] == "c=(other)" and not (cut.place(column) == len(cut.names) - 1).any()
        odd = [cut.place(pl.Series(held)) for held in ([None, None], [["a"], ["b"]])]
        assert all((place == len(cut.names) - 1).all() for place in odd)


def test_a_column_that_makes_no_segments_takes_the_place_of_none_and_is_told_with_the_reason() -> None:
    rows = pl.DataFrame(
        {
            "id": [f"customer {number}" for number in range(40)],
            "void": pl.Series([None] * 40, dtype=pl.String),
            "when": pl.datetime_range(pl.datetime(2026, 1, 1), pl.datetime(2026, 2, 9), "1d", eager=True),
            "plan": ["free", "pro"] * 20,
        }
    )
    sketch = sketch_reference(rows, ["nothing", "id", "void", "when", "plan"])
    assert [held.cut.column for held in sketch.segments] == ["plan"]
    assert sketch.uncut == {
        "nothing": "the reference has no such column",
        "id": "40 different values in 40 rows: it names the row",
        "void": "the reference holds no value",
        "when": "it holds neither numbers nor texts",
    }


def test_whole_numbers_and_fractions_that_are_equal_are_in_one_segment() -> None:
    (cut,) = find_cuts(sketch_frame(pl.DataFrame({"c": [1.0, 2.0] * 10})).columns, ["c"])
    assert cut.place(pl.Series([1, 2, 3])).tolist() == [0, 1, 2]
    assert cut.place(pl.Series(["1", "2", "x"])).tolist() == [0, 1, 2]
