"""What each answer lost, between 0 and 1: who is worse by what releases are judged by has to lose more."""

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import InvalidInputError
from penstock.stats.arrays import FloatArray
from penstock.stats.auc import auc_parts

FEW_OF_A_CLASS = 5  # below this the order of scores says nothing
_LARGE = 4.0  # mean deviations of the labels: an error of a number that counts as a whole loss


def class_losses(codes: NDArray[np.int64], probabilities: FloatArray) -> FloatArray:
    """The losses of a classifier's answers, shape (n,).

    Wrong classes alone are blind where one class is rare, so a loss is the mean of what each of these says: the class
    (0 or 1), the probability (Brier, of which the largest is 1), and, of two classes, the order of the scores, where a
    row loses by the share of the other class that it stands on the wrong side of, both classes counting alike.

    Args:
        codes: the true classes, shape (n,).
        probabilities: shape (n, classes).

    Raises:
        InvalidInputError: the shapes do not fit.
    """
    if probabilities.ndim != 2 or len(probabilities) != len(codes):
        raise InvalidInputError(f"{len(codes)} classes do not fit probabilities of shape {probabilities.shape}")
    rows = np.arange(len(codes))
    of_truth = probabilities[rows, codes]
    wrong = probabilities.argmax(axis=1) != codes
    brier = ((probabilities**2).sum(axis=1) - 2 * of_truth + 1) / 2
    parts = [wrong.astype(np.float64), brier]
    if probabilities.shape[1] == 2:
        positive = codes == 1
        counts = int((~positive).sum()), int(positive.sum())
        if min(counts) >= FEW_OF_A_CLASS:
            weights = len(codes) / (2.0 * np.where(positive, counts[1], counts[0]))
            parts.append(weights * (1 - auc_parts(positive, probabilities[:, 1])))
    return np.asarray(np.mean(parts, axis=0), dtype=np.float64)


def number_losses(truth: FloatArray, predicted: FloatArray, scale: float) -> FloatArray:
    """The losses of predicted numbers: absolute errors as a share of `scale`, at most 1; shape (n,)."""
    return np.minimum(np.abs(predicted - truth) / scale, 1.0)


def number_scale(labels: FloatArray) -> float:
    """The error that counts as a whole loss: four mean deviations from the median of some labels."""
    return float(_LARGE * np.abs(labels - np.median(labels)).mean()) or 1.0
