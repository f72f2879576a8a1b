"""The value a metric is going to have, from probabilities alone: no outcome is known yet.

A row whose truth is unknown stands in the metric once for each class, weighed by the probability of that class. That
gives the expected accuracy, log loss or Brier score exactly, and for metrics that are no means (ROC AUC, F1) the value
of the expected counts.

Source: confidence-based performance estimation; Guillory et al. 2021 and Bialek et al. 2024 (arXiv 2407.08649).
"""

import math

import numpy as np
from msgspec import Struct

from penstock.stats.arrays import FloatArray, IntArray
from penstock.stats.intervals import resample
from penstock.stats.metrics import Metric

DRAWS = 100  # of outcomes, or of rows, for a metric that is no mean
_CELLS = 4_000_000


class Expectation(Struct, frozen=True):
    """An expected value, and what it may be off by for three reasons that have nothing to do with one another.

    Attributes:
        value: of the metric; NaN where undefined.
        outcomes: standard error because the outcomes of these very rows are chance.
        rows: standard error because other rows could have come.
        learned: standard error because the probabilities were learned from few rows.
    """

    value: float
    outcomes: float
    rows: float
    learned: float

    @property
    def error(self) -> float:
        """Standard error of the difference from what will be measured on these rows."""
        return math.hypot(self.outcomes, self.learned)

    @property
    def change_error(self) -> float:
        """Standard error as a statement about all rows of that kind."""
        return math.hypot(self.rows, self.learned)


def expect(metric: Metric, output: FloatArray, replicates: list[FloatArray], *, keys: IntArray) -> Expectation:
    """The expected value of a metric of classes.

    Args:
        metric: what is estimated.
        output: what it reads: predicted codes (n,), scores (n,) or probabilities (n, c).
        replicates: probability of each class, shape (n, c): first the best guess, then bootstrap versions of it.
        keys: n codes; rows of one key may have outcomes that depend on one another.
    """
    best, classes = replicates[0], replicates[0].shape[1]
    terms = metric.terms(np.repeat(np.arange(classes), len(best)), np.concatenate([output] * classes))
    terms = terms.reshape(classes, len(best), -1).swapaxes(0, 1)
    spread = math.sqrt(len(best) / (int(keys.max(initial=-1)) + 1)) if len(best) else 1.0  # the worst that keys can do
    value = _combine(metric, terms, best)
    learned = float(np.nanstd([_combine(metric, terms, held) for held in replicates[1:]]))
    if metric.is_mean:
        held = terms[:, :, 0]
        mean = (best * held).sum(axis=1)
        variance = np.maximum((best * held**2).sum(axis=1) - mean**2, 0.0)
        outcomes, rows = math.sqrt(variance.sum()) / len(best), float(mean.std()) / math.sqrt(len(best))
    else:
        outcomes, rows = _draw_outcomes(metric, terms, best), _draw_rows(metric, terms, best)
    return Expectation(value, outcomes * spread, rows * spread, learned)


def _combine(metric: Metric, terms: FloatArray, probabilities: FloatArray) -> float:
    return float(_weigh(metric, terms, probabilities[None])[0])


def _weigh(metric: Metric, terms: FloatArray, weights: FloatArray) -> FloatArray:
    """The metric for weights of shape (b, n, c) on terms of shape (n, c, d)."""
    return metric.combine(terms.reshape(-1, terms.shape[2]), weights.reshape(len(weights), -1))


def _draw_outcomes(metric: Metric, terms: FloatArray, probabilities: FloatArray) -> float:
    generator, (n, classes) = np.random.default_rng(0), probabilities.shape
    bounds = np.cumsum(probabilities, axis=1)[:, :-1]
    values, size = [], max(1, _CELLS // (n * classes))
    for start in range(0, DRAWS, size):
        drawn = generator.random((min(size, DRAWS - start), n))
        codes = (drawn[:, :, None] > bounds).sum(axis=2)
        values.append(_weigh(metric, terms, (codes[:, :, None] == np.arange(classes)).astype(np.float64)))
    return float(np.nanstd(np.concatenate(values)))


def _draw_rows(metric: Metric, terms: FloatArray, probabilities: FloatArray) -> float:
    values = [
        _weigh(metric, terms, weights[:, :, None] * probabilities) for weights in resample(len(terms), replicates=DRAWS)
    ]
    return float(np.nanstd(np.concatenate(values)))
