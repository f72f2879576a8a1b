"""Profiles are gathered in one pass over batches, and agree with what a whole table says."""

import math
import random
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core import codec
from penstock.datasets.frames.table import Batch, Table, TableFile, sweep, table_of
from penstock.datasets.profile import ProfileGatherer, profile_frame, profile_table
from penstock.datasets.profile.column import TOP_VALUES
from penstock.datasets.profile.compare import compare_columns
from penstock.datasets.profile.sample import SAMPLE_ROWS, RowSample
from penstock.datasets.profile.spread import moment_text
from penstock.datasets.types import ColumnProfile
from penstock.stats.sketches.distinct import DistinctSketch


def in_pieces(frame: pl.DataFrame, rows: int) -> Table:
    """The table as files of so many rows each, so that every file is a batch of its own."""
    pieces = list(frame.iter_slices(rows))
    return Table(tuple(TableFile(f"{n}.csv", piece.lazy()) for n, piece in enumerate(pieces)), dict(frame.schema))


def column(values: list[Any], **given: Any) -> ColumnProfile:
    return profile_frame(pl.DataFrame({"x": pl.Series(values, **given)})).columns[0]


@given(
    st.lists(st.one_of(st.none(), st.integers(-50, 50), st.just(10**6)), min_size=1, max_size=60), st.integers(1, 20)
)
def test_batches_add_up_to_the_whole(values: list[int | None], rows: int) -> None:
    frame = pl.DataFrame({"n": pl.Series(values, dtype=pl.Int64)})
    (found,) = profile_table(in_pieces(frame, rows)).columns
    held = [value for value in values if value is not None]
    assert found.nulls == len(values) - len(held)
    assert found.distinct == len(set(held))
    if not held:
        assert (found.minimum, found.mean, found.std, found.quantiles) == (None, None, None, ())
        return
    assert (found.minimum, found.maximum) == (min(held), max(held))
    assert found.mean == pytest.approx(np.mean(held))
    assert found.std == (pytest.approx(np.std(held, ddof=1), abs=1e-9) if len(held) > 1 else None)
    counts = {value: held.count(value) for value in held}
    best = sorted(counts, key=lambda value: (-counts[value], value))[:TOP_VALUES]
    assert [(top.value, top.rows) for top in found.top] == [(value, counts[value]) for value in best]
    assert found.quantiles == pytest.approx(tuple(np.quantile(held, np.linspace(0, 1, 101))))


def test_each_kind_tells_what_applies_to_it() -> None:
    assert column([True, False, True]).mean == pytest.approx(2 / 3)
    times = column([datetime(1970, 1, 1, 0, 1), datetime(1970, 1, 1, 0, 3)])
    assert (times.minimum, times.quantiles[0], times.quantiles[100]) == ("1970-01-01T00:01:00", 60.0, 180.0)
    assert column([date(1970, 1, 2)]).quantiles[50] == 86_400.0
    assert column([[1], [2]]) == ColumnProfile(name="x", kind="list", nulls=0)
    assert column([None, None]).kind == "unknown"
    text = column(["b", "a", "a", None])
    assert (text.nulls, text.distinct, text.minimum, text.quantiles) == (1, 2, "a", ())


@pytest.mark.parametrize(
    ("series", "kind", "smallest"),
    [
        (pl.Series([Decimal("1.5"), None]), "number", '"1.5"'),
        (pl.Series(["b", "a"], dtype=pl.Categorical), "text", "a"),
        (pl.Series(["b", "a"], dtype=pl.Enum(["b", "a"])), "text", "a"),
        (pl.Series([2**64 - 1, 0], dtype=pl.UInt64), "integer", 0),
        (pl.Series([1, None], dtype=pl.Int8), "integer", 1),
        (pl.Series([datetime(2026, 1, 1)], dtype=pl.Datetime("ns")), "datetime", "2026-01-01T00:00:00"),
        (pl.Series([date(1, 1, 1), date(9999, 12, 31)]), "date", "0001-01-01"),
        (pl.Series([timedelta(days=1)]), "other", None),
        (pl.Series([b"a"]), "other", None),
        (pl.Series([{"a": 1}]), "other", None),
        (pl.Series([time(1, 2)]), "other", None),
        (pl.Series([], dtype=pl.Int64), "integer", None),
    ],
)
def test_every_type_of_polars_has_a_profile(series: pl.Series, kind: str, smallest: object) -> None:
    found = column(series.to_list(), dtype=series.dtype)
    assert (found.kind, found.minimum) == (kind, smallest)
    assert codec.encode(found)


def test_a_number_that_is_none_is_missing_and_does_no_harm_to_the_mean() -> None:
    found = column([1.0, math.nan, 3.0, math.inf])
    assert (found.nulls, found.distinct, found.mean) == (1, 3, None)
    assert column([1.0, math.nan, 3.0]).mean == 2.0


def test_many_values_are_sketched_and_frequent_ones_still_found() -> None:
    rng = np.random.default_rng(5)
    n = 300_000
    ids = np.arange(n)
    rng.shuffle(ids)
    hot = np.where(rng.random(n) < 0.2, -7, rng.integers(0, 10**9, n))
    frame = pl.DataFrame({"id": ids, "hot": hot, "at": rng.normal(10, 2, n)}).with_columns(
        (pl.Series("long", ids % 700).cast(pl.String) + "x" * 300).alias("long")
    )
    found = profile_table(in_pieces(frame, 50_000))
    key, busy, normal, words = found.columns
    assert key.distinct == n and key.top == ()
    assert busy.top[0].value == -7 and busy.top[0].rows == pytest.approx(0.2 * n, rel=0.05)
    assert words.distinct == 700 and words.maximum is not None and len(str(words.maximum)) == 203
    assert normal.quantiles[50] == pytest.approx(10, abs=0.05)
    assert normal.quantiles[0] == frame.get_column("at").min() and normal.quantiles[100] == frame.get_column("at").max()


@settings(deadline=None)
@given(st.integers(1, 60_000), st.sampled_from([1_024, 4_096]))
def test_the_sketch_counts_exactly_up_to_its_size_and_closely_beyond(count: int, size: int) -> None:
    hashes = np.random.default_rng(count).integers(0, 2**64, count, dtype=np.uint64)
    sketch = DistinctSketch(size)
    for piece in np.array_split(np.concatenate([hashes, hashes[::2]]), 7):
        sketch.add(piece)
    true = len(np.unique(hashes))
    assert sketch.count() == true if true < size else abs(sketch.count() / true - 1) < 5 / math.sqrt(size)


def test_a_sample_of_rows_is_fair_of_bounded_size_and_the_same_each_time() -> None:
    def draw(rows: int) -> list[int]:
        sample = RowSample()
        frame = pl.DataFrame({"n": range(rows)})
        for start in range(0, rows, 40_000):
            sample.add(Batch(frame.slice(start, 40_000), "a", start, start), [pl.col("n")])
        found = sample.collect()
        assert found is not None
        return found.get_column("n").to_list()

    assert draw(100_000) == list(range(100_000))
    some = draw(1_000_000)
    assert SAMPLE_ROWS <= len(some) <= 2 * SAMPLE_ROWS and some == sorted(some) == draw(1_000_000)
    assert np.mean(some) == pytest.approx(500_000, rel=0.01)


def test_a_sweep_reads_only_the_columns_that_somebody_looks_at() -> None:
    table = table_of(pl.DataFrame({"a": [1, 2], "b": [3, 4]}), "a.csv")
    seen = []

    class Look:
        columns = ("b",)

        def add(self, batch: Batch) -> None:
            seen.append(batch.frame.columns)

    assert sweep(table, [Look()]) == {"a.csv": 2} and seen == [["b"]]
    assert sweep(table, []) == {"a.csv": 2}
    assert ProfileGatherer(table).profile().rows == 0


def shift(before: list[Any], after: list[Any], alpha: float = 0.001) -> tuple[float, bool]:
    found = compare_columns(column(before), column(after), (len(before), len(after)), alpha=alpha)
    return found.distance, found.is_chance


def test_what_moved_is_told_from_what_chance_moves() -> None:
    chance = random.Random(3)
    normal, same = ([chance.gauss(0, 1) for _ in range(2_000)] for _ in range(2))
    moved = [value + 0.5 for value in same]
    assert shift(normal, same)[1] and not shift(normal, moved)[1]
    assert shift(normal, moved)[0] == pytest.approx(0.197, abs=0.04)  # of two normal laws half a deviation apart
    few = [value + 0.5 for value in normal[:10]]
    assert shift(normal, few)[1]
    plans = ["a"] * 50 + ["b"] * 50
    assert shift(plans, ["a"] * 500 + ["b"] * 500) == (0.0, True)
    assert shift(plans, ["a"] * 90 + ["b"] * 10) == (pytest.approx(0.4), False)
    assert shift(plans, ["c"] * 100) == (1.0, False)
    assert shift([1.5] * 100, [1.5] * 50 + [None] * 50) == (0.5, False)
    assert shift([0] * 900 + list(range(100)), [0] * 900 + list(range(100))) == (0.0, True)
    assert shift([1, 2], ["a", "b"]) == (1.0, False)
    assert shift([], []) == (0.0, True) and shift([1], []) == (1.0, False)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_where_nothing_moved_chance_is_seldom_called_a_move(seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = rng.lognormal(size=400).tolist(), rng.lognormal(size=300).tolist()
    assert shift(before, after, alpha=1e-6)[1]


def test_a_moment_beyond_the_calendar_is_shown_as_a_number() -> None:
    assert moment_text(0.0) == "1970-01-01 00:00" and moment_text(1e18) == "1e+18 s"
