"""One model on two groups of rows: is it worse on the first than on all the others?"""

import math

import numpy as np
from msgspec import Struct
from scipy import special

from penstock.stats.arrays import BoolArray, FloatArray, IntArray, cluster_codes
from penstock.stats.auc import auc_influence, influence_error
from penstock.stats.intervals import Clusters, resample
from penstock.stats.metrics import Metric


class GroupDifference(Struct, frozen=True):
    """A metric inside and outside a group.

    Attributes:
        inside: the metric in the group; NaN where undefined.
        outside: the metric in all other rows.
        difference: how much better the group is; below zero is worse, also where a lower metric is better.
        p_value: of being no worse, one-sided; 1 where nothing can be said.
    """

    inside: float
    outside: float
    difference: float
    p_value: float


def compare_group(
    metric: Metric,
    terms: FloatArray,
    inside: BoolArray,
    *,
    clusters: Clusters | None = None,
    replicates: int = 400,
    seed: int = 0,
) -> GroupDifference:
    """Compare a group with the rest of the rows.

    Args:
        metric: what is compared.
        terms: of the metric, shape (n, d), without NaN.
        inside: which rows belong to the group, shape (n,).
        clusters: n labels; rows of one cluster may depend on one another, across the groups too.
        replicates: bootstrap samples, for a metric that is no mean.
        seed: the same seed gives the same answer.

    Source: for a mean and for ROC AUC, the linearised difference with clusters as units and Student's law; otherwise a
    normal law with the bootstrap's standard error.
    """
    here, there = metric.value(terms[inside]), metric.value(terms[~inside])
    difference = here - there if metric.higher_is_better else there - here
    if math.isnan(difference):
        return GroupDifference(here, there, difference, 1.0)
    codes = None if clusters is None else cluster_codes(clusters)
    if metric.is_mean or metric.name == "roc_auc":
        error, freedom = _closed_error(metric, terms, inside, codes)
    else:
        error, freedom = _drawn_error(metric, terms, inside, codes, replicates, seed), math.inf
    if not freedom >= 1 or math.isnan(error):
        return GroupDifference(here, there, difference, 1.0)
    if error == 0:
        return GroupDifference(here, there, difference, 0.0 if difference < 0 else 1.0)
    ratio = difference / error
    p_value = special.ndtr(ratio) if math.isinf(freedom) else special.stdtr(freedom, ratio)
    return GroupDifference(here, there, difference, float(p_value))


def _closed_error(metric: Metric, terms: FloatArray, inside: BoolArray, codes: IntArray | None) -> tuple[float, float]:
    """Standard error of the difference of two groups, and its degrees of freedom."""
    influence = np.empty(len(terms))
    for rows, sign in ((inside, 1.0), (~inside, -1.0)):
        held = terms[rows]
        own = (held[:, 0] - held[:, 0].mean()) / len(held) if metric.is_mean else auc_influence(held)
        influence[rows] = sign * own
    return influence_error(influence, codes)


def _drawn_error(
    metric: Metric, terms: FloatArray, inside: BoolArray, codes: IntArray | None, replicates: int, seed: int
) -> float:
    held, others = terms[inside], terms[~inside]
    drawn = [
        metric.combine(held, weights[:, inside]) - metric.combine(others, weights[:, ~inside])
        for weights in resample(len(terms), codes=codes, replicates=replicates, seed=seed)
    ]
    differences = np.concatenate(drawn)
    known = differences[~np.isnan(differences)]
    return float(known.std(ddof=1)) if len(known) > 0.9 * len(differences) and len(known) > 1 else math.nan
