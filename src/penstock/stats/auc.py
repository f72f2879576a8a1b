"""The area under the ROC curve in closed form: what each row adds to it, its standard error and interval."""

import math

import numpy as np
from scipy import special

from penstock.stats.arrays import BoolArray, FloatArray, cluster_codes
from penstock.stats.intervals import Clusters, Interval, normal_quantile, wilson_interval


def auc_parts(truth: BoolArray, scores: FloatArray) -> FloatArray:
    """For each row, the share of rows of the other class it is ordered rightly with; a tie counts half; shape (n,)."""
    parts = np.empty(len(scores))
    for rows, others, sign in ((truth, ~truth, 1.0), (~truth, truth, -1.0)):
        held = np.sort(sign * scores[others])
        asked = sign * scores[rows]
        below = np.searchsorted(held, asked, "left") + np.searchsorted(held, asked, "right")
        parts[rows] = below / (2 * len(held))
    return parts


def auc_influence(terms: FloatArray) -> FloatArray:
    """By how much each row moves the area, to first order; sums to zero; shape (n,).

    Args:
        terms: label (0 or 1) and score, shape (n, 2); both classes occur.

    Source: the structural components of DeLong, DeLong and Clarke-Pearson 1988; summed by cluster, Obuchowski 1997.
    """
    truth = terms[:, 0] == 1
    parts = auc_parts(truth, terms[:, 1])
    own_class = np.where(truth, float(truth.sum()), float((~truth).sum()))
    return np.asarray((parts - parts[truth].mean()) / own_class, dtype=np.float64)


def influence_error(influence: FloatArray, clusters: Clusters | None = None) -> tuple[float, int]:
    """Standard error from what each row or cluster adds, and its degrees of freedom; (inf, 0) for a single one."""
    off = influence if clusters is None else np.bincount(cluster_codes(clusters), weights=influence)
    units = len(off)
    return (math.sqrt(units / (units - 1) * float((off**2).sum())), units - 1) if units > 1 else (math.inf, 0)


def auc_interval(terms: FloatArray, *, clusters: Clusters | None = None, confidence: float = 0.95) -> Interval:
    """Interval of the area; infinite ends with one class or one cluster only.

    Made on the logit scale, so that it stays between 0 and 1. A perfect order has no spread; its interval is that of
    as many successes as the rarer class has rows.
    """
    truth = terms[:, 0] == 1
    rarer = int(min(truth.sum(), (~truth).sum()))
    if not rarer:
        return Interval(-math.inf, math.inf)
    area = float(auc_parts(truth, terms[:, 1])[truth].mean())
    error, freedom = influence_error(auc_influence(terms), clusters)
    if freedom < 1:
        return Interval(-math.inf, math.inf)
    if area in (0.0, 1.0):
        return wilson_interval(area * rarer, rarer, confidence=confidence)
    half = normal_quantile(confidence) * error / (area * (1 - area))
    middle = float(special.logit(area))
    return Interval(float(special.expit(middle - half)), float(special.expit(middle + half)))
