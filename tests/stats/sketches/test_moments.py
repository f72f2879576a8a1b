import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.stats.sketches.calibration import CalibrationHistogram, calibration_of
from penstock.stats.sketches.moments import Moments, moments_of

numbers = st.lists(st.floats(-1e6, 1e6), max_size=40)


@given(st.lists(numbers, min_size=1, max_size=5))
def test_moments_of_parts_are_those_of_the_whole(parts: list[list[float]]) -> None:
    merged = Moments()
    for part in parts:
        merged = merged.merge(moments_of(np.array(part, dtype=float)))
    everything = np.array([value for part in parts for value in part], dtype=float)
    assert merged.rows == len(everything)
    if len(everything):
        assert merged.mean == pytest.approx(everything.mean(), abs=1e-6)
        assert (merged.low, merged.high) == (everything.min(), everything.max())
    if len(everything) > 1:
        assert merged.deviation == pytest.approx(everything.std(ddof=1), rel=1e-6, abs=1e-4)


def test_the_largest_numbers_have_no_spread_that_can_be_told_and_raise_nothing() -> None:
    huge = moments_of(np.array([1.7e308, -1.7e308, 1.7e308]))
    assert huge.high == 1.7e308 and not math.isfinite(huge.squares)


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0, math.nan])), max_size=50), st.integers(0, 50))
def test_calibration_of_parts_is_that_of_the_whole(rows: list[tuple[float, float]], cut: int) -> None:
    chances, outcomes = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    parts = calibration_of(chances[:cut], outcomes[:cut]).merge(calibration_of(chances[cut:], outcomes[cut:]))
    whole = calibration_of(chances, outcomes)
    assert (parts.rows, parts.known, parts.events) == (whole.rows, whole.known, whole.events)
    assert parts.chances == pytest.approx(whole.chances)
    assert sum(whole.rows) == len(rows)


def test_the_calibration_error_is_the_distance_of_chances_from_events() -> None:
    assert CalibrationHistogram().calibration_error is None
    found = calibration_of(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0.0, 0.0, 1.0, math.nan]))
    assert found.calibration_error == pytest.approx(0.1)
