import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from penstock.core.errors import InvalidInputError
from penstock.stats.intervals import (
    bootstrap,
    bootstrap_interval,
    difference_interval,
    mean_interval,
    wilson_interval,
)
from penstock.stats.metrics import find_metric

MEAN = find_metric("mae").combine


def column(values: object) -> np.ndarray:
    return np.asarray(values, dtype=float)[:, None]


@given(n=st.integers(1, 200), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_of_a_rate_agrees_with_scipy(n: int, share: float, confidence: float) -> None:
    successes = round(share * n)
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    ours = wilson_interval(successes, n, confidence=confidence)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert successes / n in ours


def test_nothing_is_known_of_a_rate_without_tries() -> None:
    assert wilson_interval(0, 0).low == 0.0
    assert wilson_interval(0, 0).high == 1.0


def test_the_interval_of_a_mean_is_students() -> None:
    values = np.random.default_rng(3).normal(5, 2, 17)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    ours = mean_interval(values, confidence=0.9)
    assert (ours.low, ours.high) == pytest.approx(tuple(expected))


def test_clusters_of_one_row_change_nothing() -> None:
    values = np.random.default_rng(4).normal(size=30)
    plain, clustered = mean_interval(values), mean_interval(values, clusters=np.arange(30))
    assert (plain.low, plain.high) == pytest.approx((clustered.low, clustered.high))


def test_repeating_every_row_does_not_narrow_a_clustered_interval() -> None:
    values = np.random.default_rng(5).normal(size=40)
    once = mean_interval(values)
    ten_times = mean_interval(np.repeat(values, 10), clusters=[str(i) for i in np.repeat(np.arange(40), 10)])
    assert (ten_times.low, ten_times.high) == pytest.approx((once.low, once.high))


def test_one_unit_leaves_the_mean_open() -> None:
    assert mean_interval([3.0]).high == math.inf
    assert mean_interval([1.0, 2.0, 3.0], clusters=["a", "a", "a"]).low == -math.inf


def test_a_paired_difference_is_the_mean_of_differences() -> None:
    a, b = [1.0, 2.0, 4.0], [0.5, 1.0, 3.5]
    assert difference_interval(a, b) == mean_interval([0.5, 1.0, 0.5])


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_the_bootstrap_of_a_mean_comes_near_the_closed_form(method: str) -> None:
    values = np.random.default_rng(6).normal(size=500)
    expected = mean_interval(values)
    ours = bootstrap_interval(column(values), MEAN, method=method, replicates=4000)
    assert ours.low == pytest.approx(expected.low, abs=0.012)
    assert ours.high == pytest.approx(expected.high, abs=0.012)


def test_bca_agrees_with_scipy_on_skewed_rows() -> None:
    values = np.random.default_rng(8).lognormal(0, 1, 60)
    expected = stats.bootstrap((values,), np.mean, n_resamples=6000, method="BCa", rng=1).confidence_interval
    ours = bootstrap_interval(column(values), MEAN, method="bca", replicates=6000)
    assert ours.low == pytest.approx(expected.low, rel=0.03)
    assert ours.high == pytest.approx(expected.high, rel=0.03)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    generator = np.random.default_rng(9)
    held = 0
    for _ in range(200):
        groups = generator.normal(size=30)
        clusters = np.repeat(np.arange(30), 5)
        values = np.repeat(groups, 5) + 0.3 * generator.normal(size=150)
        held += 0.0 in bootstrap_interval(column(values), MEAN, clusters=clusters, replicates=300, seed=generator)
    assert 0.87 <= held / 200 <= 0.99


def test_the_same_seed_gives_the_same_samples_whatever_the_chunks() -> None:
    terms = column(np.random.default_rng(1).normal(size=50))
    assert (bootstrap(terms, MEAN, seed=5) == bootstrap(terms, MEAN, seed=5)).all()
    assert (bootstrap(terms, MEAN, seed=5) != bootstrap(terms, MEAN, seed=6)).any()


def test_whole_clusters_are_drawn() -> None:
    clusters = ["x", "x", "y"]
    totals = bootstrap(np.ones((3, 1)), lambda terms, weights: weights[:, 0] - weights[:, 1], clusters=clusters)
    assert (totals == 0).all()


def test_an_auc_interval_is_open_where_most_samples_have_one_class() -> None:
    terms = np.array([[1.0, 0.5], [0.0, 0.1]])
    interval = bootstrap_interval(terms, find_metric("roc_auc").combine)
    assert interval.low == -math.inf
    assert interval.high == math.inf


def test_senseless_requests_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no value"):
        mean_interval([])
    with pytest.raises(InvalidInputError, match=r"values\[1\] is nan"):
        mean_interval([1.0, float("nan")])
    with pytest.raises(InvalidInputError, match="tries"):
        wilson_interval(3, 2)
    with pytest.raises(InvalidInputError, match="bootstrap method"):
        bootstrap_interval(np.ones((2, 1)), MEAN, method="magic")
