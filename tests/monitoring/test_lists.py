"""Columns of lists: baskets and embeddings, sketched, compared and drawn by items, lengths and norms."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from penstock.datasets.types import Bar
from penstock.monitoring.causes.columns import cut_columns
from penstock.monitoring.causes.faults import find_faults
from penstock.monitoring.drift import compare_inputs
from penstock.monitoring.sketches import TableSketch, decode_sketch, encode_sketch, sketch_frame
from penstock.monitoring.sketches.column import ColumnSketch, ListSketch
from penstock.monitoring.sketches.sketching import sketch_column
from penstock.monitoring.spreads import spread_columns, spread_parts
from penstock.monitoring.table_drift import compare_tables
from penstock.monitoring.types import ColumnDrift


def baskets(rng: np.random.Generator, rows: int, *, mean: float = 3.0, newest: str = "abcd") -> pl.DataFrame:
    """Baskets of items: the newest first, and others."""
    lists = [[str(rng.choice(list(newest))), *rng.choice(list("efghij"), rng.poisson(mean))] for _ in range(rows)]
    return pl.DataFrame({"basket": lists}, schema={"basket": pl.List(pl.String)})


def vectors(rng: np.random.Generator, rows: int, *, scale: float = 1.0, width: int = 8) -> pl.DataFrame:
    """Embeddings."""
    return pl.DataFrame({"embedding": (scale * rng.normal(size=(rows, width))).tolist()})


def compare(before: pl.DataFrame, now: pl.DataFrame, level: float = 0.001) -> ColumnDrift:
    (found,) = compare_inputs(sketch_frame(before), sketch_frame(now), before.columns, level=level)
    return found


def lists_of(column: ColumnSketch) -> ListSketch:
    assert column.lists is not None
    return column.lists


def test_a_basket_is_kept_as_its_items_its_newest_item_and_its_length() -> None:
    column = sketch_column(pl.Series("b", [["x", "y", "x"], ["y"], [], None]))
    lists = lists_of(column)
    assert (column.rows, column.missing) == (4, 2) and lists.norms is None
    assert lists.items is not None and lists.items.counts == {"x": 1, "y": 2}
    assert column.labels is not None and column.labels.counts == {"x": 1, "y": 1}
    assert lists.lengths.labels is not None and lists.lengths.labels.counts == {"0": 1, "1": 1, "3": 1}
    assert lists.lengths.missing == 1


@pytest.mark.parametrize("dtype", [pl.List(pl.Float32), pl.Array(pl.Float64, 2)])
def test_an_embedding_is_kept_as_its_norm_and_its_length(dtype: pl.DataType) -> None:
    lists = lists_of(sketch_column(pl.Series("e", [[3.0, 4.0], [0.0, 1.0], None], dtype=dtype)))
    assert lists.items is None and lists.norms is not None
    assert lists.norms.numbers.weigh()[0].tolist() == [1.0, 5.0] and lists.norms.missing == 1


def test_norms_that_differ_by_rounding_alone_are_one() -> None:
    unit = np.random.default_rng(1).normal(size=(60, 128)).astype(np.float32)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    norms = lists_of(sketch_column(pl.Series("e", unit.tolist(), dtype=pl.List(pl.Float32)))).norms
    assert norms is not None and norms.numbers.weigh()[0].tolist() == [1.0] * 60


def test_a_column_of_lists_takes_no_more_numbers_than_one_of_numbers() -> None:
    lists = lists_of(sketch_frame(vectors(np.random.default_rng(2), 9000)).columns["embedding"])
    assert lists.norms is not None
    held = [sum(map(len, each.numbers.levels)) for each in (lists.norms, lists.lengths)]
    assert sum(held) <= 3 * 4096 and lists.norms.numbers.rank_error(1e-13) > 0


@pytest.mark.parametrize("make", [baskets, vectors])
def test_parts_of_lists_merge_to_the_whole_and_survive_as_bytes(make) -> None:
    rows = make(np.random.default_rng(3), 90)
    empty = pl.DataFrame({rows.columns[0]: [None] * 10}, schema=rows.schema)
    parts = [rows[:40], empty, rows[40:]]
    merged = TableSketch()
    for part in parts:
        merged = merged.merge(sketch_frame(part))
    name, whole = rows.columns[0], sketch_frame(pl.concat(parts))
    assert spread_parts(merged.columns[name], whole.columns[name])
    for spread in spread_parts(merged.columns[name], whole.columns[name]).values():
        assert all(bar.before == pytest.approx(bar.after) for bar in spread.bars)
    assert merged.columns[name].missing == whole.columns[name].missing == 10
    assert encode_sketch(decode_sketch(encode_sketch(merged))) == encode_sketch(merged)


def test_lists_of_one_source_do_not_move() -> None:
    rng = np.random.default_rng(4)
    moved = sum(compare(baskets(rng, 120), baskets(rng, 60), 0.2).drifted for _ in range(30))
    moved += sum(compare(vectors(rng, 120), vectors(rng, 60), 0.2).drifted for _ in range(30))
    assert moved <= 22  # expected at most 12; more than 22 by chance has a probability below 0.001


def test_what_of_the_lists_moved_is_told() -> None:
    rng = np.random.default_rng(5)
    longer, newest = (
        compare(baskets(rng, 900), baskets(rng, 300, mean=5)),
        compare(baskets(rng, 900), baskets(rng, 300, newest="abxx")),
    )
    assert (longer.part, longer.told, longer.drifted) == ("length", "length of basket", True)
    assert longer.note.startswith("the length of each list") and longer.psi is not None
    assert (newest.part, newest.told, newest.drifted) == ("newest item", "basket", True)
    assert "hold 1 value the reference lacks: x" in newest.note and newest.new_share > 0.3
    wider, larger = (compare(vectors(rng, 900), vectors(rng, 300, **how)) for how in ({"width": 9}, {"scale": 1.3}))
    assert (wider.told, larger.told) == ("length of embedding", "norm of embedding")
    assert wider.drifted and larger.drifted and larger.test == "ks"


def test_lists_that_no_longer_come_have_moved() -> None:
    rng = np.random.default_rng(6)
    for rows in (baskets(rng, 500), vectors(rng, 500)):
        nothing = pl.DataFrame({rows.columns[0]: [None] * 80}, schema=rows.schema)
        assert compare(rows, nothing).drifted
        assert not compare(rows, rows[:80]).drifted


def test_whole_numbers_among_embeddings_are_no_other_type() -> None:
    rng = np.random.default_rng(7)
    found = compare(vectors(rng, 300), pl.DataFrame({"embedding": [[1] * 8, [0] * 8] * 50}))
    assert (found.test, found.part) == ("chi2", "length") and not found.drifted


def test_a_sketch_from_before_lists_had_one_is_compared_by_the_newest_item() -> None:
    rng = np.random.default_rng(8)
    rows = baskets(rng, 400)
    older = sketch_frame(rows.select(pl.col("basket").list.first()))
    (found,) = compare_inputs(older, sketch_frame(rows), ["basket"], level=0.05)
    assert (found.test, found.part, found.drifted) == ("chi2", None, False)
    merged = older.merge(sketch_frame(rows)).columns["basket"]
    assert merged.lists is None and merged.family == "text"


def test_lists_are_drawn_by_items_newest_items_and_lengths_or_by_norms() -> None:
    rng = np.random.default_rng(9)
    before, now = (sketch_frame(baskets(rng, 200, mean=mean)).columns["basket"] for mean in (2, 4))
    parts = spread_parts(before, now)
    assert list(parts) == ["Rows that hold an item", "Newest item", "Length"]
    items = {bar.label: bar.before for bar in parts["Rows that hold an item"].bars}
    assert set(items) == set("abcdefghij") and sum(items.values()) > 1 and max(items.values()) <= 1
    assert parts["Length"].is_ranges and sum(bar.after for bar in parts["Length"].bars) == pytest.approx(1)
    assert spread_columns(before, now) == parts["Rows that hold an item"]
    first, second = (sketch_frame(vectors(rng, 200)).columns["embedding"] for _ in range(2))
    parts = spread_parts(first, second)
    assert list(parts) == ["Norm", "Length"] and len(parts["Norm"].bars) == 24
    assert parts["Length"].bars == (Bar("8", 1.0, 1.0),)
    assert spread_parts(before, sketch_column(pl.Series([None] * 9)))["Rows that hold an item"].bars[-1].after == 1
    assert spread_parts(sketch_column(pl.Series(["a"])), before) == {}


def test_two_tables_with_lists_are_compared_with_all_pictures() -> None:
    rng = np.random.default_rng(10)
    (column,) = compare_tables(sketch_frame(baskets(rng, 300)), sketch_frame(baskets(rng, 300))).columns
    assert list(column.parts) == ["Rows that hold an item", "Newest item", "Length"]
    assert column.spread == column.parts["Rows that hold an item"] and not column.drifted


@pytest.mark.parametrize(
    "values",
    [[[[1, 2]], [[3]]], [[{"a": 1}], [{"a": 2}]], [[], []], [[None], []], [[True], [False]], [[date(2026, 1, 1)]]],
    ids=["lists", "structs", "empty", "null", "bools", "dates"],
)
def test_lists_of_whatever_can_be_sketched_compared_and_drawn(values: list[object]) -> None:
    rows = pl.DataFrame({"x": values * 30})
    sketch = sketch_frame(rows)
    (found,) = compare_inputs(sketch, decode_sketch(encode_sketch(sketch.merge(sketch))), ["x"], level=0.05)
    assert not found.drifted
    assert sum(bar.before for bar in spread_columns(sketch.columns["x"], sketch.columns["x"]).bars) <= 1.001


def test_causes_are_looked_for_among_the_newest_items() -> None:
    rng = np.random.default_rng(11)
    rows, odd = baskets(rng, 60), baskets(rng, 60, newest="xy")
    (column,) = cut_columns(rows, rows)
    assert {"basket = a", "basket = b"} <= set(column.labels)
    (fault,) = find_faults(rows, odd)
    assert fault.kind == "new_category" and fault.columns == ["basket"]
    nested = pl.DataFrame({"picture": [[[1, 2]], [[3]]] * 30})
    assert cut_columns(nested, nested) == [] and find_faults(nested, nested) == []
