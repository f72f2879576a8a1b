"""Metrics of classifiers as per-row terms and how weighted rows combine to a value.

A *term* is what one row adds: shape (n, d). `combine(terms, weights)` gives the value for each row of weights, shape
(b,). With weights that count how often a row was drawn, one call evaluates b bootstrap samples.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.stats.arrays import FloatArray, check_same_length

_SMALLEST = 1e-15  # probabilities are clipped here, as scikit-learn does, so that one bold error is not infinite


def accuracy_terms(truth: Any, predicted: Any) -> FloatArray:
    """1 where the class is right, else 0; shape (n, 1)."""
    truth, predicted = _same_rows(truth, predicted)
    return _column(truth == predicted)


def log_loss_terms(truth: Any, scores: Any) -> FloatArray:
    """Negative log likelihood of the true class, in nats; shape (n, 1).

    Args:
        truth: class codes, shape (n,).
        scores: probability of class 1, shape (n,), or of each class, shape (n, c).
    """
    chosen = _probability_of_truth(*_same_rows(truth, scores))
    return _column(-np.log(np.clip(chosen, _SMALLEST, 1.0)))


def brier_terms(truth: Any, scores: Any) -> FloatArray:
    """Squared error of the probabilities; shape (n, 1).

    For two classes this is (p - y)^2; for c classes the sum over all of them (Brier 1950), between 0 and 2.
    """
    truth, scores = _same_rows(truth, scores)
    if scores.ndim == 1:
        return _column((scores - truth) ** 2)
    wanted = np.zeros_like(scores)
    wanted[np.arange(len(truth)), truth.astype(np.int64)] = 1.0
    return _column(((scores - wanted) ** 2).sum(axis=1))


def confusion_terms(truth: Any, predicted: Any) -> FloatArray:
    """True positive, false positive and false negative of class 1; shape (n, 3)."""
    truth, predicted = _same_rows(truth, predicted)
    positive, called = truth == 1, predicted == 1
    return np.column_stack([positive & called, ~positive & called, positive & ~called]).astype(np.float64)


def class_confusion_terms(truth: Any, predicted: Any) -> FloatArray:
    """True positives, false positives and false negatives of each of c classes; shape (n, 3c)."""
    truth, predicted = _same_rows(truth, predicted)
    classes = np.arange(int(max(truth.max(initial=0), predicted.max(initial=0))) + 1)
    is_class, is_called = truth[:, None] == classes, predicted[:, None] == classes
    return np.hstack([is_class & is_called, ~is_class & is_called, is_class & ~is_called]).astype(np.float64)


def score_terms(truth: Any, scores: Any) -> FloatArray:
    """Label (0 or 1) and score side by side, for metrics of the order of rows; shape (n, 2)."""
    truth, scores = _same_rows(truth, scores)
    return np.column_stack([truth == 1, scores]).astype(np.float64)


def combine_f1(means: FloatArray) -> FloatArray:
    """F1 from mean counts (b, 3); 0 where there is neither a positive nor a call."""
    hit, false_call, missed = means.T
    return _ratio(2 * hit, 2 * hit + false_call + missed, 0.0)


def combine_precision(means: FloatArray) -> FloatArray:
    """Share of calls that are right, from mean counts (b, 3); 0 without a call."""
    return _ratio(means[:, 0], means[:, 0] + means[:, 1], 0.0)


def combine_recall(means: FloatArray) -> FloatArray:
    """Share of positives that are found, from mean counts (b, 3); 0 without a positive."""
    return _ratio(means[:, 0], means[:, 0] + means[:, 2], 0.0)


def combine_macro_f1(means: FloatArray) -> FloatArray:
    """Mean F1 of the classes that occur, from mean counts (b, 3c)."""
    hit, false_call, missed = np.split(means, 3, axis=1)
    return _mean_of_known(_ratio(2 * hit, 2 * hit + false_call + missed, np.nan))


def combine_balanced_accuracy(means: FloatArray) -> FloatArray:
    """Mean recall of the classes that occur, from mean counts (b, 3c)."""
    hit, _, missed = np.split(means, 3, axis=1)
    return _mean_of_known(_ratio(hit, hit + missed, np.nan))


def combine_roc_auc(terms: FloatArray, weights: FloatArray) -> FloatArray:
    """Area under the ROC curve for each row of weights; a tie counts half. NaN with one class only.

    Args:
        terms: label and score, shape (n, 2).
        weights: shape (b, n), not negative.

    Returns:
        Shape (b,).
    """
    order, starts = _tied_groups(terms[:, 1])
    positive, negative = _group_weights(terms[order, 0], weights[:, order], starts)
    below = np.cumsum(negative, axis=1) - negative
    won = (positive * (below + 0.5 * negative)).sum(axis=1)
    return _ratio(won, positive.sum(axis=1) * negative.sum(axis=1), np.nan)


def combine_average_precision(terms: FloatArray, weights: FloatArray) -> FloatArray:
    """Area under the precision-recall steps for each row of weights; NaN without a positive.

    Source: the step-wise sum that scikit-learn's `average_precision_score` uses; tied scores enter together.
    """
    order, starts = _tied_groups(-terms[:, 1])
    positive, negative = _group_weights(terms[order, 0], weights[:, order], starts)
    found = np.cumsum(positive, axis=1)
    precision = _ratio(found, found + np.cumsum(negative, axis=1), 0.0)
    return _ratio((positive * precision).sum(axis=1), positive.sum(axis=1), np.nan)


def _same_rows(truth: Any, output: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    truth, output = np.asarray(truth), np.asarray(output)
    check_same_length(truth=truth, output=output)
    return truth, output


def _column(values: Any) -> FloatArray:
    return np.asarray(values, dtype=np.float64)[:, None]


def _probability_of_truth(truth: Any, scores: Any) -> FloatArray:
    if scores.ndim == 1:
        chosen = np.where(truth == 1, scores, 1.0 - scores)
    else:
        chosen = scores[np.arange(len(truth)), truth.astype(np.int64)]
    return np.asarray(chosen, dtype=np.float64)


def _tied_groups(values: FloatArray) -> tuple[Any, Any]:
    """The ascending order of values, and where each run of equal ones starts in it."""
    order = np.argsort(values, kind="stable")
    held = values[order]
    starts = np.flatnonzero(np.concatenate([[True], held[1:] != held[:-1]])) if len(held) else np.array([], np.int64)
    return order, starts


def _group_weights(labels: FloatArray, weights: FloatArray, starts: Any) -> tuple[FloatArray, FloatArray]:
    if not len(labels):
        nothing = np.zeros((len(weights), 1))
        return nothing, nothing
    positive = np.add.reduceat(weights * labels, starts, axis=1)
    return positive, np.add.reduceat(weights, starts, axis=1) - positive


def _ratio(above: FloatArray, below: FloatArray, otherwise: float) -> FloatArray:
    out = np.full(np.shape(above), otherwise, dtype=np.float64)
    return np.divide(above, below, out=out, where=below > 0)


def _mean_of_known(values: FloatArray) -> FloatArray:
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64), np.nan)
