import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from penstock.core.errors import InvalidInputError
from penstock.stats.comparison import Standing
from penstock.stats.metrics import find_metric
from penstock.stats.paired import compare_auc, compare_means, compare_resampled, standing


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_a_paired_comparison_is_the_paired_t_test(rng: np.random.Generator) -> None:
    a = rng.normal(size=50)
    b = a + rng.normal(0.1, 0.3, 50)
    expected = stats.ttest_rel(a, b)
    ours = compare_means(a, b)
    assert ours.p_value == pytest.approx(expected.pvalue)
    assert (ours.low, ours.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert ours.method == "paired_t"


def test_less_error_is_a_gain(rng: np.random.Generator) -> None:
    errors = rng.random(100)
    ours = compare_means(errors, errors + 0.1 + 0.01 * rng.random(100), higher_is_better=False)
    assert ours.difference > 0
    assert ours.verdict is Standing.BETTER


@given(low=st.floats(-1, 1), width=st.floats(0, 1), margin=st.floats(0, 1))
def test_every_interval_has_one_standing(low: float, width: float, margin: float) -> None:
    said = standing(low, low + width, margin)
    assert (said is Standing.BETTER) == (low > 0)
    assert (said in (Standing.BETTER, Standing.NOT_WORSE)) == (low > 0 or low >= -margin)
    assert said is not Standing.WORSE or low + width < 0


def test_the_margin_decides_between_a_tie_and_not_worse(rng: np.random.Generator) -> None:
    a = rng.normal(size=400)
    b = a + rng.normal(0, 0.1, 400)
    assert compare_means(a, b, margin=0.0).verdict is Standing.TIE
    assert compare_means(a, b, margin=0.05).verdict is Standing.NOT_WORSE
    assert compare_means(a, b + 0.2, margin=0.05).verdict is Standing.WORSE
    assert compare_means(a, b + 0.02, margin=0.1).verdict is Standing.NOT_WORSE


def test_a_model_is_not_worse_than_itself(rng: np.random.Generator) -> None:
    same = rng.random(50)
    ours = compare_means(same, same)
    assert (ours.difference, ours.low, ours.high, ours.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert ours.verdict is Standing.NOT_WORSE


def test_a_handful_of_rows_that_agree_shows_nothing() -> None:
    ours = compare_means([1.0, 1.0, 1.0], [0.0, 0.0, 0.0], margin=0.1)
    assert ours.low is None
    assert ours.verdict is Standing.TIE
    assert compare_means(np.ones(50), np.zeros(50)).verdict is Standing.BETTER


def delong_by_the_book(labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Difference and its variance from the kernel, written out over all pairs."""

    def kernel(scores: np.ndarray) -> np.ndarray:
        won = scores[labels == 1][:, None] - scores[labels == 0][None, :]
        return (won > 0) + 0.5 * (won == 0)

    gain = kernel(a) - kernel(b)
    by_positive, by_negative = gain.mean(axis=1), gain.mean(axis=0)
    variance = by_positive.var(ddof=1) / len(by_positive) + by_negative.var(ddof=1) / len(by_negative)
    return float(gain.mean()), float(variance)


def scored(n: int = 300, *, seed: int = 11) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.3).astype(int)
    return labels, labels + rng.normal(0, 1.0, n).round(1), labels + rng.normal(0, 1.5, n).round(1)


def test_the_comparison_of_areas_is_delongs() -> None:
    labels, a, b = scored()
    difference, variance = delong_by_the_book(labels, a, b)
    ours = compare_auc(labels, a, b)
    assert ours.difference == pytest.approx(difference)
    assert ours.high is not None
    assert ours.high - ours.difference == pytest.approx(stats.t.ppf(0.975, 299) * variance**0.5)
    auc = find_metric("roc_auc")
    assert ours.difference == pytest.approx(auc.fn(labels, a) - auc.fn(labels, b))


def test_clusters_of_one_row_give_nearly_the_same_areas() -> None:
    labels, a, b = scored()
    plain, clustered = compare_auc(labels, a, b), compare_auc(labels, a, b, clusters=np.arange(300))
    assert clustered.low == pytest.approx(plain.low, abs=0.002)
    assert clustered.method == "clustered_delong"


def test_copied_rows_add_no_evidence_when_they_are_one_cluster() -> None:
    labels, a, b = scored()
    once = compare_auc(labels, a, b, clusters=np.arange(300))
    copied = compare_auc(*(np.repeat(x, 4) for x in (labels, a, b)), clusters=np.repeat(np.arange(300), 4))
    assert copied.low == pytest.approx(once.low, abs=1e-9)


def test_drawing_rows_agrees_with_delong() -> None:
    labels, a, b = scored(600)
    auc = find_metric("roc_auc")
    drawn = compare_resampled(auc.terms(labels, a), auc.terms(labels, b), auc.combine, replicates=800)
    exact = compare_auc(labels, a, b)
    assert drawn.difference == pytest.approx(exact.difference)
    assert drawn.low == pytest.approx(exact.low, abs=0.012)


def test_equal_models_are_called_different_about_as_often_as_promised(rng: np.random.Generator) -> None:
    called = 0
    for _ in range(300):
        labels = (rng.random(120) < 0.4).astype(int)
        shared = labels + rng.normal(0, 1, 120)
        a, b = shared + rng.normal(0, 0.7, 120), shared + rng.normal(0, 0.7, 120)
        called += compare_auc(labels, a, b).p_value < 0.05
    assert called / 300 < 0.09


def test_one_class_cannot_be_compared() -> None:
    with pytest.raises(InvalidInputError, match="of each class"):
        compare_auc([1, 1, 1], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    with pytest.raises(InvalidInputError, match="undefined"):
        compare_resampled(np.array([[1.0, 0.5]]), np.array([[1.0, 0.5]]), find_metric("roc_auc").combine)
    with pytest.raises(InvalidInputError, match="margin"):
        compare_means([1.0, 2.0], [1.0, 2.0], margin=-1)
