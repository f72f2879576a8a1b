import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.loop.retraining.evidence import Evidence

GAINS = st.lists(st.floats(-1, 1), min_size=1, max_size=30).map(np.array)


@given(st.lists(GAINS, max_size=5))
def test_stretches_add_up_and_so_do_their_variances(stretches: list[np.ndarray]) -> None:
    found = Evidence()
    for gains in stretches:
        found = found.add(gains)
    assert found.total == pytest.approx(sum(gains.mean() for gains in stretches))
    assert found.variance == pytest.approx(sum(gains.var() / len(gains) for gains in stretches))
    assert found.at_least(2) == pytest.approx(found.total - 2 * math.sqrt(found.variance))


def test_what_counts_for_less_is_as_certain_as_before() -> None:
    found = Evidence().add(np.array([0.1, 0.3]))
    less = found.times(0.5)
    assert less.total / math.sqrt(less.variance) == pytest.approx(found.total / math.sqrt(found.variance))


def test_no_rows_say_nothing() -> None:
    assert Evidence().add(np.zeros(0)) == Evidence()
