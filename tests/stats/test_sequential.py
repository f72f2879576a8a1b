import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.stats.sequential import (
    LossDetector,
    MeanSequence,
    difference_evidence,
    difference_sequence,
    excess_evidence,
    rate_evidence,
    rate_sequence,
    spend_level,
    watch_loss,
)

RUNS, ROWS = 400, 500
BAR = -math.log(0.05)


def walks(rate: float, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Running counts of successes of many runs, shape (runs, rows), and the rows so far."""
    drawn = np.random.default_rng(seed).random((RUNS, ROWS)) < rate
    return np.cumsum(drawn, axis=1), np.arange(1, ROWS + 1)


def share_that_ever(alarmed: np.ndarray) -> float:
    return float(alarmed.any(axis=1).mean())


@pytest.mark.parametrize("rate", [0.02, 0.3, 0.9])
def test_a_true_rate_is_left_by_few_runs_however_often_one_looks(rate: float) -> None:
    hits, n = walks(rate, seed=1)
    assert share_that_ever(rate_evidence(hits, n, rate) >= BAR) <= 0.05


def test_a_wrong_rate_is_refused_by_nearly_all_runs() -> None:
    hits, n = walks(0.3, seed=2)
    assert share_that_ever(rate_evidence(hits, n, 0.15) >= BAR) > 0.99


def test_the_evidence_against_a_rate_is_the_mixture_written_out() -> None:
    def likelihood(q: float) -> float:
        return q**3 * (1 - q) ** 7 * q**-0.5 * (1 - q) ** -0.5 / math.pi

    whole, _ = integrate.quad(likelihood, 0, 1)
    upper, _ = integrate.quad(likelihood, 0.2, 1)
    prior = 1 - 2 / math.pi * math.asin(math.sqrt(0.2))
    null = 0.2**3 * 0.8**7
    assert rate_evidence(3, 10, 0.2) == pytest.approx(math.log(whole / null))
    assert excess_evidence(3, 10, 0.2) == pytest.approx(math.log(upper / prior / null))


@given(n=st.integers(0, 5000), share=st.floats(0, 1), alpha=st.sampled_from([0.01, 0.05, 0.2]))
def test_a_rate_sequence_ends_where_the_evidence_reaches_the_bar(n: int, share: float, alpha: float) -> None:
    hits = round(n * share)
    interval = rate_sequence(hits, n, alpha=alpha)
    assert 0 <= interval.low <= interval.high <= 1
    assert n == 0 or hits / n in interval
    for end, bound in ((interval.low, 0.0), (interval.high, 1.0)):
        if n and end != bound:
            assert rate_evidence(hits, n, end) == pytest.approx(-math.log(alpha), abs=1e-6)


def test_sums_of_rewards_between_zero_and_one_will_do() -> None:
    rewards = np.random.default_rng(3).beta(2, 6, (RUNS, ROWS))
    evidence = rate_evidence(np.cumsum(rewards, axis=1), np.arange(1, ROWS + 1), 0.25)
    assert share_that_ever(evidence >= BAR) <= 0.05


def test_an_error_rate_at_its_bar_rarely_raises_an_alarm_and_one_above_it_does() -> None:
    hits, n = walks(0.05, seed=4)
    assert share_that_ever(excess_evidence(hits, n, 0.05) >= BAR) <= 0.05
    below, _ = walks(0.01, seed=5)
    assert share_that_ever(excess_evidence(below, n, 0.05) >= BAR) <= 0.01
    above, _ = walks(0.15, seed=6)
    assert share_that_ever(excess_evidence(above, n, 0.05) >= BAR) > 0.98


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_equal_arms_are_rarely_told_apart_whatever_the_split(share: float) -> None:
    generator = np.random.default_rng(7)
    to_b = generator.random((RUNS, ROWS)) < share
    hit = generator.random((RUNS, ROWS)) < 0.2
    counts = [np.cumsum(x, axis=1) for x in (hit & ~to_b, ~to_b, hit & to_b, to_b)]
    assert share_that_ever(difference_evidence(*counts) >= BAR) <= 0.05


def test_different_arms_are_told_apart() -> None:
    a, n = walks(0.1, seed=8)
    b, _ = walks(0.3, seed=9)
    assert share_that_ever(difference_evidence(a, n, b, n) >= BAR) > 0.97
    interval = difference_sequence(float(a[0, -1]), ROWS, float(b[0, -1]), ROWS)
    assert interval.low > 0
    assert 0.2 in interval


def test_nothing_seen_is_no_evidence() -> None:
    assert difference_evidence(0, 0, 0, 0) == pytest.approx(0)
    assert rate_evidence(0, 0, 0.3) == pytest.approx(0)
    assert excess_evidence(0, 0, 0.3) == pytest.approx(0)
    assert difference_sequence(0, 0, 0, 0).low == -1.0


def test_a_mean_sequence_holds_the_mean_of_nearly_all_runs() -> None:
    rewards = np.random.default_rng(10).beta(1, 4, (RUNS, ROWS))
    held = sum(0.2 in MeanSequence(alpha=0.05).update(row).interval for row in rewards)
    assert held / RUNS >= 0.95


def test_a_mean_sequence_profits_from_a_small_variance() -> None:
    rewards = 0.5 + 0.02 * np.random.default_rng(11).uniform(-1, 1, 2000)
    narrow = MeanSequence().update(rewards).interval
    by_counts = rate_sequence(float(rewards.sum()), 2000)
    assert narrow.high - narrow.low < 0.5 * (by_counts.high - by_counts.low)


@given(st.lists(st.floats(-2, 6), min_size=2, max_size=60), st.data())
def test_a_mean_sequence_does_not_depend_on_how_its_rows_were_cut(values: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(values)))
    start = MeanSequence(lower=-2.0, upper=6.0)
    whole, parts = start.update(values), start.update(values[:cut]).update(values[cut:])
    assert (whole.interval.low, whole.interval.high) == pytest.approx((parts.interval.low, parts.interval.high))
    assert whole.n == parts.n == len(values)


def shiryaev_roberts(losses: list[float], tolerated: float) -> list[float]:
    """The recursion written out, one bet at a time."""
    bets = [(1 - tolerated) * 0.98 * 0.5**k / (tolerated * (1 - tolerated)) for k in range(8)]
    state = [0.0] * len(bets)
    path = []
    for loss in losses:
        state = [(1 + r) * (1 + bet * (loss - tolerated)) for r, bet in zip(state, bets, strict=True)]
        path.append(sum(state) / len(state))
    return path


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.01, 0.9), st.data())
def test_the_detector_is_the_published_recursion_and_can_be_resumed(
    losses: list[float], tolerated: float, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(losses)))
    start = watch_loss(tolerated, run_length=50)
    stored = codec.decode(codec.encode(start.update(losses[:cut])), LossDetector)
    detector = stored.update(losses[cut:])
    path = shiryaev_roberts(losses, tolerated)
    assert detector.evidence == pytest.approx(path[-1] / 50, rel=1e-6)
    first = next((row + 1 for row, value in enumerate(path) if value >= 50 * (1 + 1e-9)), None)
    if not any(abs(value / 50 - 1) < 1e-6 for value in path):
        assert detector.alarm_at == first
    assert detector.n == len(losses)


def test_false_alarms_are_as_rare_as_promised() -> None:
    generator = np.random.default_rng(12)
    lengths = []
    for _ in range(150):
        detector = watch_loss(0.1, run_length=500).update(generator.random(4000) < 0.1)
        lengths.append(detector.alarm_at or 4000)
    assert np.mean(lengths) >= 500


def test_a_risen_loss_is_found_soon() -> None:
    generator = np.random.default_rng(13)
    delays = []
    for _ in range(50):
        before, after = generator.random(1000) < 0.05, generator.random(3000) < 0.15
        detector = watch_loss(0.06, run_length=1e5).update(before).update(after)
        assert detector.alarmed
        delays.append((detector.alarm_at or 0) - 1000)
    assert min(delays) > 0
    assert np.median(delays) < 250


def test_spent_levels_add_up_to_the_whole() -> None:
    spent = sum(spend_level(0.05, t) for t in range(1, 20_000))
    assert 0.0499 < spent < 0.05


def test_senseless_requests_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="cannot be"):
        rate_sequence(5, 3)
    with pytest.raises(InvalidInputError, match="tolerated"):
        watch_loss(0.0, run_length=100)
    with pytest.raises(InvalidInputError, match="outside 0 to 1"):
        watch_loss(0.5, run_length=100).update([1.5])
    with pytest.raises(InvalidInputError, match=r"outside 0\.0 to 1\.0"):
        MeanSequence().update([2.0])
    with pytest.raises(InvalidInputError, match="count from 1"):
        spend_level(0.05, 0)
    with pytest.raises(InvalidInputError, match="cannot be tested"):
        excess_evidence(1, 2, 0.0)
