import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.stats.arrays import FloatArray
from penstock.stats.sketches.quantiles import ROOM, QuantileSketch

finite = st.floats(allow_nan=False, allow_infinity=False)


def sketch_of(values: FloatArray, *, batch: int) -> QuantileSketch:
    sketch = QuantileSketch()
    for start in range(0, len(values), batch):
        sketch = sketch.add(values[start : start + batch])
    return sketch


def worst_rank(sketch: QuantileSketch, values: FloatArray) -> float:
    """By how much the sketch is wrong about any rank, as a share of the rows."""
    ordered = np.sort(values)
    return float(np.abs(sketch.shares_up_to(ordered) - np.searchsorted(ordered, ordered, "right") / len(values)).max())


@given(st.lists(finite, min_size=1, max_size=300), st.integers(1, 300))
def test_few_numbers_are_all_kept(values: list[float], batch: int) -> None:
    sketch = sketch_of(np.array(values), batch=batch)
    kept, weights = sketch.weigh()
    assert sketch.is_exact
    assert sketch.rank_error(1e-12) == 0
    assert kept.tolist() == sorted(values)
    assert weights.tolist() == [1.0] * len(values)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60_000), st.integers(100, 20_000), st.sampled_from(["normal", "few"]))
def test_no_rank_is_wrong_by_more_than_the_sketch_says(seed: int, rows: int, batch: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=rows) if kind == "normal" else rng.integers(0, 9, rows).astype(float)
    sketch = sketch_of(values, batch=batch)
    assert sketch.weigh()[1].sum() == sketch.rows == rows
    assert worst_rank(sketch, values) <= sketch.rank_error(1e-9) + 1e-12


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 9000), min_size=2, max_size=5))
def test_merged_sketches_are_those_of_all_rows_in_any_order(seed: int, sizes: list[int]) -> None:
    rng = np.random.default_rng(seed)
    parts = [rng.exponential(size=size) for size in sizes]
    sketches = [QuantileSketch().add(part) for part in parts]
    left, right = sketches[0], sketches[-1]
    for sketch in sketches[1:]:
        left = left.merge(sketch)
    for sketch in reversed(sketches[:-1]):
        right = sketch.merge(right)
    everything = np.concatenate(parts)
    for merged in (left, right):
        assert merged.rows == len(everything)
        if len(everything):
            assert worst_rank(merged, everything) <= merged.rank_error(1e-9) + 1e-12


def test_merging_is_the_same_both_ways_round() -> None:
    rng = np.random.default_rng(1)
    first, second = (QuantileSketch().add(rng.normal(size=5000)) for _ in range(2))
    one, other = first.merge(second), second.merge(first)
    assert [level.tolist() for level in one.levels] == [level.tolist() for level in other.levels]


def test_the_same_rows_give_the_same_sketch() -> None:
    values = np.random.default_rng(2).normal(size=50_000)
    one, other = (sketch_of(values.copy(), batch=7_000) for _ in range(2))
    assert [level.tobytes() for level in one.levels] == [level.tobytes() for level in other.levels]


def test_the_size_does_not_grow_with_the_rows() -> None:
    rng = np.random.default_rng(3)
    sketch = QuantileSketch()
    for _ in range(40):
        sketch = sketch.add(rng.normal(size=50_000))
    assert sketch.rows == 2_000_000
    assert sum(map(len, sketch.levels)) < 4 * ROOM
    assert sketch.rank_error(1e-12) < 0.01


def test_the_bound_is_not_far_from_what_happens() -> None:
    """A bound that is always far too wide would cost power: here it is within six times the error of typical ranks."""
    values = np.random.default_rng(4).normal(size=300_000)
    sketch = sketch_of(values, batch=10_000)
    assert sketch.rank_error(0.01) < 6 * worst_rank(sketch, values)


def test_quantiles_are_numbers_that_were_there() -> None:
    sketch = QuantileSketch().add(np.array([3.0, 1.0, 2.0, 2.0]))
    assert sketch.quantiles([0.25, 0.5, 0.75, 1.0]).tolist() == [1.0, 2.0, 2.0, 3.0]
    assert sketch.shares_up_to(np.array([0.0, 1.0, 2.5, 9.0])).tolist() == [0.0, 0.25, 0.75, 1.0]


def test_an_empty_sketch_changes_nothing_it_is_merged_with() -> None:
    sketch = QuantileSketch().add(np.array([1.0, 2.0]))
    assert QuantileSketch().merge(sketch).weigh()[0].tolist() == sketch.merge(QuantileSketch()).weigh()[0].tolist()
    assert QuantileSketch().shares_up_to(np.array([1.0])).tolist() == [0.0]
    assert QuantileSketch().rank_error(0.01) == pytest.approx(0)
