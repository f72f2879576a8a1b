"""Metrics of numbers as per-row terms, shape (n, d), and how their weighted means combine to a value."""

from typing import Any

import numpy as np

from penstock.stats.arrays import FloatArray, check_same_length


def absolute_error_terms(truth: Any, predicted: Any) -> FloatArray:
    """|error| in units of the label; shape (n, 1)."""
    return np.abs(_errors(truth, predicted))[:, None]


def squared_error_terms(truth: Any, predicted: Any) -> FloatArray:
    """Squared error; shape (n, 1)."""
    return (_errors(truth, predicted) ** 2)[:, None]


def percentage_error_terms(truth: Any, predicted: Any) -> FloatArray:
    """|error| / |truth| as a share; NaN where the truth is 0, and such rows are left out; shape (n, 1)."""
    truth = np.asarray(truth, dtype=np.float64)
    error = np.abs(_errors(truth, predicted))
    out = np.full(error.shape, np.nan)
    np.divide(error, np.abs(truth), out=out, where=truth != 0)
    return out[:, None]


def r2_terms(truth: Any, predicted: Any) -> FloatArray:
    """Truth about its mean, its square, and the squared error; shape (n, 3)."""
    truth = np.asarray(truth, dtype=np.float64)
    centred = truth - truth.mean() if truth.size else truth
    return np.column_stack([centred, centred**2, _errors(truth, predicted) ** 2])


def combine_root(means: FloatArray) -> FloatArray:
    """The root of a mean, (b, 1) to (b,)."""
    return np.asarray(np.sqrt(means[:, 0]), dtype=np.float64)


def combine_r2(means: FloatArray) -> FloatArray:
    """Share of the variance that is explained, from the means of `r2_terms`; NaN where the truth is constant."""
    spread = means[:, 1] - means[:, 0] ** 2
    unexplained = np.full(spread.shape, np.nan)
    np.divide(means[:, 2], spread, out=unexplained, where=spread > 0)
    return 1.0 - unexplained


def _errors(truth: Any, predicted: Any) -> FloatArray:
    truth, predicted = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    check_same_length(truth=truth, output=predicted)
    return np.asarray(truth - predicted, dtype=np.float64)
