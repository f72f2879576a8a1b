"""Quantiles from counts in buckets: how often the truth is refused, and what is found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import InvalidInputError
from penstock.stats.sequential.evidence import Sums, evidence_above, evidence_below
from penstock.stats.sequential.quantiles import evidence_of_shift, quantile_sequence, quantile_shift_sequence

LEVELS = {"alpha_low": 0.05, "alpha_high": 0.05}
BAR = -np.log(0.05)
SIZE = 1.122  # of a bucket, as a ratio


def draw(rng: np.random.Generator, n: int, *, slower: float = 1.0) -> list[tuple[int, int]]:
    """Latencies with a long tail, counted."""
    values = rng.lognormal(1.0, 0.6, n) * slower
    buckets, counts = np.unique(np.ceil(np.log(values) / np.log(SIZE)).astype(int), return_counts=True)
    return list(zip(buckets.tolist(), counts.tolist(), strict=True))


def false_alarms(quantile: float, *, runs: int, every: int, looks: int, seed: int = 3) -> float:
    """The greater share of runs in which two equal arms are ever told apart, in either direction, by one bucket."""
    rng = np.random.default_rng(seed)
    span = 24
    arms = []
    for _ in range(2):
        values = np.clip(np.ceil(rng.lognormal(1.5, 0.6, (runs, every * looks))).astype(int), 0, span - 1)
        above = np.stack([np.cumsum(values > t, axis=1)[:, every - 1 :: every] for t in range(span)], axis=-1)
        arms.append(Sums(n=np.arange(every, every * looks + 1, every)[None, :, None], total=above))
    higher, lower = ([test(arm, 1 - quantile) for arm in arms] for test in (evidence_above, evidence_below))
    crossed = [(evidence_of_shift(higher[one], lower[1 - one], 0) >= BAR).any(axis=1).mean() for one in (0, 1)]
    return float(max(crossed))


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_equal_arms_are_rarely_told_apart_however_often_one_looks(quantile: float) -> None:
    assert false_alarms(quantile, runs=1000, every=60, looks=10) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("quantile", [0.9, 0.99])
def test_ten_thousand_runs_are_rarely_told_apart(quantile: float) -> None:
    shares = [false_alarms(quantile, runs=2000, every=60, looks=10, seed=seed) for seed in range(5)]
    assert np.mean(shares) <= 0.05


def test_the_bucket_of_a_quantile_is_held_by_nearly_all_runs_at_all_times() -> None:
    rng = np.random.default_rng(4)
    truth = int(np.ceil((1.0 + 0.6 * 1.2815516) / np.log(SIZE)))  # of the 0.9 quantile
    missed = 0
    for _ in range(100):
        counts: dict[int, int] = {}
        gone = False
        for _ in range(8):
            for bucket, count in draw(rng, 50):
                counts[bucket] = counts.get(bucket, 0) + count
            low, high = quantile_sequence(sorted(counts.items()), 0.9, **LEVELS)
            gone |= (low is not None and truth < low) or (high is not None and truth > high)
        missed += gone
    assert missed <= 10


def test_an_arm_that_is_twice_as_slow_is_found_and_the_shift_is_held() -> None:
    rng = np.random.default_rng(5)
    low, high = quantile_shift_sequence(draw(rng, 2000, slower=2.0), draw(rng, 4000), 0.9, **LEVELS)
    assert low is not None and high is not None
    assert 1 <= low <= round(np.log(2) / np.log(SIZE)) <= high <= 12


def test_a_thousand_equal_requests_show_a_p99_within_a_few_buckets() -> None:
    rng = np.random.default_rng(6)
    low, high = quantile_shift_sequence(draw(rng, 3000), draw(rng, 6000), 0.99, **LEVELS)
    assert low is not None and high is not None
    assert -6 <= low <= 0 <= high <= 6


def test_the_other_way_round_is_the_mirror_image() -> None:
    rng = np.random.default_rng(7)
    b, a = draw(rng, 900, slower=1.3), draw(rng, 700)
    there, back = quantile_shift_sequence(b, a, 0.8, **LEVELS), quantile_shift_sequence(a, b, 0.8, **LEVELS)
    assert there[0] is not None and there[1] is not None
    assert back == (-there[1], -there[0])


@given(
    st.lists(st.tuples(st.integers(-5, 30), st.integers(0, 400)), max_size=6),
    st.lists(st.tuples(st.integers(-5, 30), st.integers(0, 400)), max_size=6),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_whatever_is_counted_the_estimate_is_held(
    b: list[tuple[int, int]], a: list[tuple[int, int]], quantile: float
) -> None:
    low, high = quantile_shift_sequence(b, a, quantile, **LEVELS)
    values = [sorted(bucket for bucket, count in side for _ in range(count)) for side in (b, a)]
    if not all(values):
        assert low is None and high is None
        return
    at_b, at_a = (side[min(len(side) - 1, int(np.ceil(quantile * len(side))) - 1)] for side in values)
    assert low is None or low <= at_b - at_a
    assert high is None or at_b - at_a <= high


def test_few_values_say_nothing_of_a_far_quantile() -> None:
    assert quantile_sequence([(3, 40)], 0.99, **LEVELS) == (3, None)
    assert quantile_sequence([], 0.99, **LEVELS) == (None, None)
    assert quantile_shift_sequence([(3, 40)], [(3, 4000)], 0.99, **LEVELS)[1] is None
    assert quantile_shift_sequence([(3, 4000)], [(3, 4000)], 0.99, **LEVELS) == (0, 0)


def test_a_quantile_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="no quantile 1"):
        quantile_sequence([(1, 1)], 1.0, **LEVELS)
