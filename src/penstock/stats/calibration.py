"""From scores to probabilities that hold: isotonic regression on labelled rows, with how sure it is of itself."""

import numpy as np
from msgspec import Struct

from penstock.stats.arrays import FloatArray, IntArray, check_same_length

REPLICATES = 20
Curve = tuple[FloatArray, FloatArray]  # scores, rising, and the probability at each


class Calibration(Struct, frozen=True):
    """What scores are worth.

    Attributes:
        curves: the first is fitted on all rows, the others on bootstrap samples; each holds a curve a class, and of two
            classes that of class 1 alone.
    """

    curves: list[list[Curve]]

    def read(self, scores: FloatArray, replicate: int = 0) -> FloatArray:
        """The probability of each class, shape (n, c).

        Args:
            scores: of class 1, shape (n,), or of each class, shape (n, c).
            replicate: 0 for the curves that are fitted on all rows.
        """
        curves = self.curves[replicate]
        columns = scores[:, None] if scores.ndim == 1 else scores
        held = np.column_stack([np.interp(columns[:, at], *curve) for at, curve in enumerate(curves)])
        if scores.ndim == 1:
            return np.column_stack([1 - held[:, 0], held[:, 0]])
        total = held.sum(axis=1, keepdims=True)
        return np.where(total > 0, held / np.where(total > 0, total, 1), 1 / len(curves))


def calibrate(scores: FloatArray, truth: IntArray, *, replicates: int = REPLICATES, seed: int = 0) -> Calibration:
    """Learn what scores are worth.

    Args:
        scores: of class 1, shape (n,), or of each class, shape (n, c).
        truth: class codes, shape (n,).
        replicates: bootstrap samples, to tell how sure the curves are.
        seed: the same seed gives the same curves.

    Source: isotonic regression, Zadrozny and Elkan 2002; of several classes one against the rest, then normalised.
    """
    check_same_length(scores=scores, truth=truth)
    columns = scores[:, None] if scores.ndim == 1 else scores
    classes = [1] if scores.ndim == 1 else list(range(columns.shape[1]))
    generator, n = np.random.default_rng(seed), len(truth)
    weights = [np.ones(n)] + [np.bincount(generator.integers(n, size=n), minlength=n) for _ in range(replicates)]
    orders = [np.argsort(columns[:, at], kind="stable") for at in range(columns.shape[1])]
    return Calibration(
        [
            [
                _fit(columns[order, at], (truth[order] == code).astype(np.float64), weight[order].astype(np.float64))
                for at, (code, order) in enumerate(zip(classes, orders, strict=True))
            ]
            for weight in weights
        ]
    )


def _fit(scores: FloatArray, truth: FloatArray, weights: FloatArray) -> Curve:
    """The isotonic curve of rows sorted by score; rows of one score are one point, flat stretches keep their ends."""
    from scipy.optimize import isotonic_regression  # a third of a second: only where something is calibrated

    drawn = weights > 0
    scores, truth, weights = scores[drawn], truth[drawn], weights[drawn]
    starts = np.flatnonzero(np.append(True, np.diff(scores) > 0))
    total = np.add.reduceat(weights, starts)
    means = np.add.reduceat(weights * truth, starts) / total
    fitted = np.asarray(isotonic_regression(means, weights=total).x, dtype=np.float64)
    edge = np.append(True, np.diff(fitted) != 0)
    kept = edge | np.append(edge[1:], True)
    return scores[starts][kept], np.clip(fitted[kept], 0.0, 1.0)
