import math

import numpy as np
import pytest

from penstock.stats.auc import auc_influence, auc_interval
from penstock.stats.intervals import bootstrap_interval
from penstock.stats.metrics import find_metric

AUC = find_metric("roc_auc")


def scored(n: int, *, seed: int, skill: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.3
    return np.column_stack([labels, skill * labels + rng.normal(size=n)])


def test_the_interval_agrees_with_drawing_rows() -> None:
    terms = scored(1000, seed=1)
    drawn = bootstrap_interval(terms, AUC.combine, replicates=1500)
    closed = auc_interval(terms)
    assert (closed.low, closed.high) == pytest.approx((drawn.low, drawn.high), abs=0.006)


def test_the_interval_holds_the_true_area_about_as_often_as_it_says() -> None:
    truth = 0.5 * (1 + math.erf(0.5))  # of two normals one apart
    held = sum(truth in auc_interval(scored(120, seed=seed)) for seed in range(300))
    assert 0.91 <= held / 300 <= 0.985


def test_the_influence_of_a_row_is_what_taking_it_out_changes() -> None:
    terms = scored(200, seed=2)
    influence = auc_influence(terms)
    assert influence.sum() == pytest.approx(0, abs=1e-12)
    for row in (0, 17, 99):
        without = AUC.value(np.delete(terms, row, axis=0))
        assert AUC.value(terms) - without == pytest.approx(influence[row], rel=0.05, abs=1e-5)


def test_copies_within_clusters_do_not_narrow_the_interval() -> None:
    terms = scored(200, seed=3)
    rows = np.repeat(np.arange(200), 6)
    once, copied = auc_interval(terms), auc_interval(terms[rows], clusters=rows)
    assert (copied.low, copied.high) == pytest.approx((once.low, once.high))


def test_a_perfect_order_of_few_rows_proves_little() -> None:
    perfect = np.array([[0.0, 0.1], [0.0, 0.2], [1.0, 0.8], [1.0, 0.9]])
    assert auc_interval(perfect).low < 0.5
    assert auc_interval(perfect).high == 1.0
    assert auc_interval(perfect[:2]).low == -math.inf
    assert auc_interval(perfect, clusters=["a"] * 4).high == math.inf
