import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penstock.stats.sketches.distinct import DistinctSketch
from penstock.stats.sketches.hashing import draw, hash_numbers, hash_texts


@given(st.lists(st.lists(st.floats(allow_nan=False)), max_size=5))
def test_few_values_are_counted_exactly_in_any_parts(parts: list[list[float]]) -> None:
    sketch = DistinctSketch(1000)
    for part in parts:
        sketch.add(hash_numbers(np.array(part, dtype=float)))
    assert sketch.count() == len({value for part in parts for value in part})


def test_many_values_are_counted_to_some_percent() -> None:
    sketch = DistinctSketch(1024)
    for start in range(0, 200_000, 10_000):
        sketch.add(hash_numbers(np.arange(start, start + 20_000, dtype=float)))
    assert 0.9 < sketch.count() / 210_000 < 1.1
    assert len(sketch.held()) == 1024


def test_zero_has_no_sign_and_hashes_never_change() -> None:
    assert hash_numbers(np.array([0.0])) == hash_numbers(np.array([-0.0]))
    assert hash_numbers(np.array([1.0]))[0] == 0xD847253508CF04C3  # stored sketches rest on it
    assert hash_texts(["a"])[0] == 0x53A469D9DD2F7617


def test_a_draw_is_within_its_range_and_even() -> None:
    drawn = np.bincount([draw(number.to_bytes(4, "little"), 8) for number in range(4000)], minlength=8)
    assert len(drawn) == 8
    assert drawn.min() > 400
