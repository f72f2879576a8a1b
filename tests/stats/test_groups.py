import numpy as np
import pytest
from scipy import stats

from penstock.stats.groups import compare_group
from penstock.stats.metrics import find_metric

RECALL, MAE, AUC = find_metric("recall_at_20"), find_metric("mae"), find_metric("roc_auc")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(41)


def test_a_group_is_compared_with_the_rest_about_as_welch_does(rng: np.random.Generator) -> None:
    values, inside = rng.normal(size=400), np.arange(400) < 150
    values[inside] -= 0.15
    expected = stats.ttest_ind(values[inside], values[~inside], equal_var=False, alternative="less").pvalue
    found = compare_group(RECALL, values[:, None], inside)
    assert found.p_value == pytest.approx(expected, rel=0.05)
    assert found.difference == pytest.approx(values[inside].mean() - values[~inside].mean())


def test_where_less_is_better_a_larger_error_is_worse(rng: np.random.Generator) -> None:
    errors, inside = rng.random(300), np.arange(300) < 100
    errors[inside] += 0.5
    found = compare_group(MAE, errors[:, None], inside)
    assert found.difference < 0
    assert found.p_value < 1e-6


def test_copies_within_clusters_add_no_evidence(rng: np.random.Generator) -> None:
    values, inside = rng.normal(size=200), np.arange(200) < 80
    once = compare_group(RECALL, values[:, None], inside)
    rows = np.repeat(np.arange(200), 5)
    copied = compare_group(RECALL, values[rows][:, None], inside[rows], clusters=rows)
    assert copied.p_value == pytest.approx(once.p_value)


def test_equal_groups_are_called_worse_about_as_often_as_promised(rng: np.random.Generator) -> None:
    called = 0
    for seed in range(200):
        labels = (rng.random(200) < 0.4).astype(float)
        terms = np.column_stack([labels, labels + rng.normal(size=200)])
        called += compare_group(AUC, terms, np.arange(200) < 80, replicates=60, seed=seed).p_value < 0.05
    assert called / 200 < 0.11


def test_nothing_is_said_where_nothing_can_be(rng: np.random.Generator) -> None:
    one_class = np.column_stack([np.ones(50), rng.random(50)])
    assert compare_group(AUC, one_class, np.arange(50) < 20).p_value == 1.0
    assert compare_group(RECALL, np.ones((40, 1)), np.arange(40) < 20).p_value == 1.0
    same_cluster = compare_group(RECALL, rng.random((40, 1)), np.arange(40) < 20, clusters=["a"] * 40)
    assert same_cluster.p_value == 1.0
