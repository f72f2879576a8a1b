import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from penstock.core.errors import InvalidInputError
from penstock.stats.losses import class_losses, number_losses, number_scale


def two_columns(scores: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - scores, scores])


@given(st.integers(0, 10_000), st.integers(2, 4))
def test_the_loss_of_a_class_is_half_its_error_and_half_its_brier_score(seed: int, classes: int) -> None:
    generator = np.random.default_rng(seed)
    codes = generator.integers(classes, size=4)  # too few of a class for the order of scores
    probabilities = generator.dirichlet(np.ones(classes), size=4)
    truth = np.eye(classes)[codes]
    expected = ((probabilities.argmax(axis=1) != codes) + ((probabilities - truth) ** 2).sum(axis=1) / 2) / 2
    assert class_losses(codes, probabilities) == pytest.approx(expected)


def test_of_two_classes_the_order_of_the_scores_counts_a_third() -> None:
    generator = np.random.default_rng(3)
    codes, scores = (generator.random(200) < 0.1).astype(np.int64), generator.random(200)
    wrong, brier = np.mean((scores >= 0.5) != codes), np.mean((scores - codes) ** 2)
    expected = (wrong + brier + 1 - roc_auc_score(codes, scores)) / 3
    assert class_losses(codes, two_columns(scores)).mean() == pytest.approx(expected)


def test_a_model_that_orders_a_rare_class_better_loses_less_although_no_class_differs() -> None:
    codes = np.repeat([1, 0], [20, 380])
    blind = np.full(400, 0.05)
    sharp = np.where(codes == 1, 0.08, 0.049)
    assert class_losses(codes, two_columns(sharp)).mean() < class_losses(codes, two_columns(blind)).mean() - 0.1


def test_an_error_of_a_number_counts_by_its_share_of_the_scale_and_never_more_than_whole() -> None:
    labels = np.array([0.0, 10.0, 20.0, 30.0])
    scale = number_scale(labels)
    assert scale == 40.0
    assert number_losses(labels, labels + np.array([0, 10, -20, 400]), scale).tolist() == [0.0, 0.25, 0.5, 1.0]
    assert number_scale(np.full(5, 3.0)) == 1.0


def test_probabilities_of_another_shape_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="do not fit"):
        class_losses(np.zeros(3, dtype=np.int64), np.ones((2, 2)))
