"""A rise in two parts: they add up, and each is as sure as it claims."""

import numpy as np
import pytest

from penstock.stats.shift import Sample, contrast, reweigh, split_rise

NUMBERS = np.array([False, False])


def sample(n: int, seed: int, mean: float = 0.0, worse: float = 0.0) -> Sample:
    rng = np.random.default_rng(seed)
    features = np.column_stack([rng.normal(mean, 1, n), rng.normal(0, 1, n)])
    chance = 0.1 + 0.3 / (1 + np.exp(-3 * features[:, 0])) + worse
    return Sample(features, (rng.random(n) < chance).astype(float), np.arange(n))


@pytest.mark.slow
def test_the_parts_add_up_and_hold_the_truth() -> None:
    inside = []
    for seed in range(6):
        before, now = sample(1500, seed), sample(1500, 100 + seed, mean=0.7, worse=0.1)
        found = split_rise(before, now, NUMBERS)
        assert found.inputs + found.relation == pytest.approx(now.losses.mean() - before.losses.mean())
        assert found.auc > 0.6 and found.weights.mean() == pytest.approx(1)
        inside.append(abs(found.relation - 0.1) < 2.5 * found.relation_error)
    assert sum(inside) >= 5


def test_where_no_input_moved_all_of_it_is_the_relation() -> None:
    found = split_rise(sample(1500, 1), sample(1500, 2, worse=0.2), NUMBERS)
    assert found.weights.tolist() == [1.0] * 1500 and found.covered == 1.0
    assert abs(found.inputs) < 3 * found.inputs_error and found.relation > 5 * found.relation_error


def test_one_column_by_itself_is_weighed_by_its_bins() -> None:
    bins, now = np.array([0] * 500 + [1] * 500), np.array([0] * 100 + [1] * 900)
    losses = np.where(bins == 1, 0.4, 0.2)
    effect, error = reweigh(bins, now, losses)
    assert effect == pytest.approx(0.38 - 0.3) and error < 0.01
    assert reweigh(bins, bins, losses)[0] == pytest.approx(0)


def test_a_contrast_of_too_few_rows_says_nothing() -> None:
    values = np.array([1.0, 0.0, 0.0, 0.0])
    assert contrast(values, np.array([True, False, False, False]))[2] == 1.0
    rise, error, p_value = contrast(np.array([1.0, 0.9, 0.1, 0.0]), np.array([True, True, False, False]))
    assert rise == pytest.approx(0.9) and error > 0 and p_value < 0.01
