import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from penstock.core.errors import InvalidInputError
from penstock.stats.multiplicity import benjamini_hochberg, bonferroni, e_benjamini_hochberg, holm

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@given(p_lists)
def test_benjamini_hochberg_agrees_with_scipy(p_values: list[float]) -> None:
    assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values))


@given(p_lists)
def test_the_corrections_stand_in_their_known_order(p_values: list[float]) -> None:
    raw = np.array(p_values)
    assert (raw <= benjamini_hochberg(raw) + 1e-15).all()
    assert (benjamini_hochberg(raw) <= holm(raw) + 1e-12).all()
    assert (holm(raw) <= bonferroni(raw) + 1e-12).all()


def test_holm_steps_down_as_published() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_e_values_are_chosen_by_the_e_bh_rule() -> None:
    # of four, the largest k with e_(k) >= 4 / (0.1 k): 45 >= 40, 30 >= 20, 12 < 13.3
    assert e_benjamini_hochberg([45.0, 12.0, 30.0, 0.0], 0.1).tolist() == [True, False, True, False]
    assert not e_benjamini_hochberg([1.0, 2.0], 0.05).any()


def test_no_questions_have_no_answers() -> None:
    for correct in (bonferroni, holm, benjamini_hochberg):
        assert correct([]).tolist() == []
    assert e_benjamini_hochberg([], 0.1).tolist() == []


def test_what_is_no_p_value_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        holm([0.5, float("nan")])
    with pytest.raises(InvalidInputError):
        bonferroni([1.5])
