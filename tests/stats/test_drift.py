import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from penstock.core.errors import InvalidInputError
from penstock.stats.drift import chi_square_test, count_test, count_values, ks_test, psi_count_test, psi_test


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(21)


@given(st.integers(0, 1000), st.integers(40, 300), st.integers(40, 300), st.floats(0, 1))
def test_the_ks_test_agrees_with_scipy(seed: int, n: int, m: int, shift: float) -> None:
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=n), generator.normal(shift, size=m)
    expected = stats.ks_2samp(a, b, method="asymp")
    ours = ks_test(a, b)
    assert ours.statistic == pytest.approx(expected.statistic)
    assert ours.p_value == pytest.approx(expected.pvalue, abs=0.05)


def test_the_chi_square_test_agrees_with_scipy() -> None:
    first, second = {"a": 50, "b": 30, "c": 20}, {"a": 40, "b": 45, "c": 15}
    expected = stats.chi2_contingency(
        [list(first.values()), list(second.values())], correction=False, lambda_="log-likelihood"
    )
    ours = count_test(first, second)
    assert ours.statistic == pytest.approx(expected.statistic, rel=0.02)  # ours is corrected for small samples
    assert ours.p_value == pytest.approx(expected.pvalue, rel=0.05)


def false_alarms(test: object, draw: object, runs: int = 400) -> float:
    return sum(test(draw(800), draw(150)).drifted for _ in range(runs)) / runs  # type: ignore[operator]


def test_still_columns_raise_about_as_many_alarms_as_the_level_says(rng: np.random.Generator) -> None:
    assert 0.02 < false_alarms(ks_test, lambda n: rng.normal(size=n)) < 0.08
    assert 0.02 < false_alarms(psi_test, lambda n: rng.normal(size=n)) < 0.08
    shares = [0.5, 0.3, 0.1, 0.07, 0.03]
    assert 0.02 < false_alarms(chi_square_test, lambda n: rng.choice(list("abcde"), n, p=shares)) < 0.08


def test_columns_with_many_equal_values_raise_no_more_alarms_than_promised(rng: np.random.Generator) -> None:
    assert false_alarms(ks_test, lambda n: rng.integers(0, 3, n)) < 0.06
    assert false_alarms(psi_test, lambda n: rng.integers(0, 3, n)) < 0.08
    rare = np.arange(60)
    weights = 1 / (1 + rare)
    assert false_alarms(chi_square_test, lambda n: rng.choice(rare, n, p=weights / weights.sum())) < 0.09


@pytest.mark.parametrize("test", [ks_test, psi_test])
def test_a_moved_column_is_beyond_the_critical_value(test: object, rng: np.random.Generator) -> None:
    ours = test(rng.normal(size=1000), rng.normal(0.5, size=500))  # type: ignore[operator]
    assert ours.drifted
    assert ours.statistic > ours.critical_value


@given(st.integers(0, 500), st.sampled_from([0.001, 0.05, 0.2]))
def test_the_critical_value_and_the_p_value_say_the_same(seed: int, alpha: float) -> None:
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=300), generator.normal(0.15, size=200)
    for ours in (
        ks_test(a, b, alpha=alpha),
        psi_test(a, b, alpha=alpha),
        chi_square_test((a > 0).tolist(), (b > 0).tolist(), alpha=alpha),
    ):
        assert ours.drifted == (ours.statistic >= ours.critical_value)


def test_a_new_category_and_a_burst_of_missing_values_are_seen() -> None:
    before = ["a"] * 500 + ["b"] * 500
    assert chi_square_test(before, ["a"] * 40 + ["b"] * 40 + ["new"] * 20).drifted
    assert chi_square_test(before, ["a"] * 40 + ["b"] * 40 + [None] * 20).drifted
    assert not chi_square_test(before, ["a"] * 50 + ["b"] * 50).drifted


def test_many_rare_categories_are_compared_in_groups(rng: np.random.Generator) -> None:
    before, shifted = rng.integers(0, 200, 2000).tolist(), (rng.integers(0, 200, 300) ** 2 // 200).tolist()
    assert chi_square_test(before, shifted).drifted


def test_a_constant_column_has_nothing_to_compare() -> None:
    assert chi_square_test(["a"] * 50, ["a"] * 20).p_value == 1.0
    assert psi_test([1.0] * 50, [1.0] * 20).p_value == 1.0
    assert ks_test([1.0] * 50, [1.0] * 20).p_value == 1.0
    assert psi_test([1.0] * 500, [2.0] * 200).drifted


def test_equal_counts_have_no_distance() -> None:
    assert psi_count_test({"a": 10, "b": 30}, {"a": 10, "b": 30}).statistic == 0.0
    assert count_values([1.0, float("nan"), None, 1.0]) == {1.0: 2, None: 2}


def test_an_empty_sample_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="current holds no value"):
        ks_test([1.0], [])
    with pytest.raises(InvalidInputError, match="reference holds no value"):
        count_test({}, {"a": 1})
