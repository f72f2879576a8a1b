"""Rewards weighed by the chance of the choice, and pairs of scores."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core import codec
from penstock.core.errors import InvalidInputError
from penstock.stats.auc import auc_parts
from penstock.stats.sequential.evidence import Sums, add_up, evidence_above, evidence_below
from penstock.stats.sequential.means import difference_sequence
from penstock.stats.sequential.rewards import WeighedRewards, pair_scores

LEVELS = {"alpha_low": 0.05, "alpha_high": 0.05}
BAR = -np.log(0.05)


def rollout(rng: np.random.Generator, rows: int, gain: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rewards, choices and chances: the share of b rises from 0.1 to 0.5 while everybody's rewards fall."""
    chance = np.where(np.arange(rows) < rows / 2, 0.1, 0.5)
    is_b = rng.random(rows) < chance
    rate = np.where(np.arange(rows) < rows / 2, 0.6, 0.2) + gain * is_b
    return (rng.random(rows) < rate).astype(float), is_b, chance


def test_shares_that_change_while_rewards_do_mislead_means_but_not_weighed_rewards() -> None:
    reward, is_b, chance = rollout(np.random.default_rng(1), 20_000, 0.0)
    plain = difference_sequence(add_up(reward[is_b]), add_up(reward[~is_b]), **LEVELS)
    assert plain.high < -0.05  # b seems worse, as most of its rows are late ones
    weighed = WeighedRewards(floor=0.1).add(reward, is_b, chance)
    assert 0.0 in weighed.sequence(**LEVELS)
    assert abs(weighed.estimate) < 0.05


@pytest.mark.slow
def test_the_true_difference_is_refused_by_few_runs_however_often_one_looks() -> None:
    rng, runs, rows = np.random.default_rng(2), 10_000, 300
    chance = np.where(np.arange(rows) < 150, 0.1, 0.5)
    is_b = rng.random((runs, rows)) < chance
    reward = (rng.random((runs, rows)) < np.where(np.arange(rows) < 150, 0.5, 0.2) + 0.1 * is_b).astype(float)
    scaled = (np.where(is_b, reward / chance, -reward / (1 - chance)) * 0.1 + 1) / 2
    sums = Sums(
        n=np.arange(10.0, rows + 1, 10),
        total=np.cumsum(scaled, axis=1)[:, 9::10],
        squares=np.cumsum(scaled**2, axis=1)[:, 9::10],
    )
    for evidence in (evidence_above, evidence_below):
        assert (evidence(sums, (0.1 * 0.1 + 1) / 2) >= BAR).any(axis=1).mean() <= 0.05


def test_a_real_gain_is_found() -> None:
    reward, is_b, chance = rollout(np.random.default_rng(3), 20_000, 0.15)
    found = WeighedRewards(floor=0.1).add(reward, is_b, chance).sequence(**LEVELS)
    assert found.low > 0 and 0.15 in found


@given(st.integers(0, 60))
def test_parts_add_up_and_may_be_stored_in_between(cut: int) -> None:
    reward, is_b, chance = rollout(np.random.default_rng(4), 60, 0.1)
    start = WeighedRewards(floor=0.1)
    first = codec.decode(codec.encode(start.add(reward[cut:], is_b[cut:], chance[cut:])), WeighedRewards)
    parts, whole = first.add(reward[:cut], is_b[:cut], chance[:cut]), start.add(reward, is_b, chance)
    assert parts.sequence(**LEVELS).low == pytest.approx(whole.sequence(**LEVELS).low)
    assert parts.sums.n == whole.sums.n == 60


def test_what_cannot_be_weighed_is_refused() -> None:
    start = WeighedRewards(floor=0.1)
    with pytest.raises(InvalidInputError, match=r"a chance of 0\.05, and the floor is 0\.1"):
        start.add([1.0], [True], [0.05])
    with pytest.raises(InvalidInputError, match="a chance of 0, and"):
        start.add([1.0], [True], [1.0])
    with pytest.raises(InvalidInputError, match="outside 0 to 1"):
        start.add([1.5], [True], [0.5])
    with pytest.raises(InvalidInputError, match="least chance"):
        WeighedRewards(floor=0.0).add([1.0], [True], [0.5])


def test_the_mean_of_pairs_is_the_area_under_the_curve() -> None:
    rng = np.random.default_rng(5)
    truth = rng.random(20_000) < 0.3
    scores = rng.normal(size=20_000) + truth
    pairs = pair_scores(truth, scores)
    assert len(pairs) == min(truth.sum(), (~truth).sum())
    assert pairs.mean() == pytest.approx(auc_parts(truth, scores)[truth].mean(), abs=0.02)


def test_pairs_that_were_made_stay_as_they_are_when_more_rows_come() -> None:
    rng = np.random.default_rng(6)
    truth, scores = rng.random(50) < 0.4, rng.integers(0, 4, 50)
    before, after = pair_scores(truth[:30], scores[:30]), pair_scores(truth, scores)
    assert (after[: len(before)] == before).all()
    assert set(after.tolist()) <= {0.0, 0.5, 1.0}
    assert len(pair_scores([True, True], [0.1, 0.2])) == 0
