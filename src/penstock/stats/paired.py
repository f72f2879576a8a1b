"""Two models on the same rows: is one better, worse, or can nobody tell?"""

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from penstock.core.errors import InvalidInputError
from penstock.stats.arrays import FloatArray, as_sample, check_same_length, cluster_codes
from penstock.stats.auc import auc_influence, auc_parts, influence_error
from penstock.stats.comparison import Comparison, Standing
from penstock.stats.intervals import (
    Clusters,
    Combine,
    Interval,
    mean_error,
    percentile_interval,
    resample,
)
from penstock.stats.metrics import Metric, scored_rows

_FEW = 10  # units


def compare_means(
    a: ArrayLike,
    b: ArrayLike,
    *,
    higher_is_better: bool = True,
    margin: float = 0.0,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Paired t-test of what each row adds to the metric of two models.

    Args:
        a: the first model's value of each row, shape (n,).
        b: the second's, on the same rows in the same order.
        higher_is_better: whether a larger value is good.
        margin: the loss that would be put up with, in units of the metric.
        clusters: n labels; rows of one cluster may depend on one another.
        confidence: of the interval.

    Raises:
        InvalidInputError: the rows differ in number, or hold NaN.
    """
    first, second = as_sample(a, "a"), as_sample(b, "b")
    check_same_length(a=first, b=second)
    gains = first - second if higher_is_better else second - first
    error, freedom = mean_error(gains, clusters)
    method = "paired_t" if clusters is None else "clustered_paired_t"
    return _student(float(gains.mean()), error, freedom, margin, confidence, n=len(gains), method=method)


def compare_auc(
    labels: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    margin: float = 0.0,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Two areas under the ROC curve on the same rows.

    Args:
        labels: 0 or 1, shape (n,).
        a: the first model's scores.
        b: the second's.
        margin: the loss that would be put up with.
        clusters: n labels; rows of one cluster may depend on one another.
        confidence: of the interval.

    Raises:
        InvalidInputError: fewer than two rows of a class, or rows that do not match.

    Source: DeLong, DeLong and Clarke-Pearson 1988; for clusters Obuchowski 1997.
    """
    first, second = as_sample(a, "a"), as_sample(b, "b")
    truth = np.asarray(labels) == 1
    check_same_length(labels=truth, a=first, b=second)
    if min(truth.sum(), (~truth).sum()) < 2:
        raise InvalidInputError("an AUC needs two rows or more of each class", field="labels")
    n = len(truth)
    if clusters is not None:
        influence = [auc_influence(np.column_stack([truth, scores])) for scores in (first, second)]
        difference = float((auc_parts(truth, first) - auc_parts(truth, second))[truth].mean())
        error, freedom = influence_error(influence[0] - influence[1], clusters)
        return _student(difference, error, freedom, margin, confidence, n=n, method="clustered_delong")
    parts = auc_parts(truth, first) - auc_parts(truth, second)
    variance = parts[truth].var(ddof=1) / truth.sum() + parts[~truth].var(ddof=1) / (~truth).sum()
    difference = float(parts[truth].mean())
    return _student(difference, math.sqrt(variance), n - 1, margin, confidence, n=n, method="delong")


def compare_resampled(
    a: FloatArray,
    b: FloatArray,
    combine: Combine,
    *,
    higher_is_better: bool = True,
    margin: float = 0.0,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Any metric of two models, by drawing the same rows for both.

    Args:
        a: the first model's terms, shape (n, d).
        b: the second's, on the same rows in the same order.
        combine: gives the metric for each row of weights.
        higher_is_better: whether a larger metric is good.
        margin: the loss that would be put up with, in units of the metric.
        clusters: n labels; whole clusters are drawn.
        confidence: of the interval.
        replicates: bootstrap samples.
        seed: the same seed gives the same answer.

    Raises:
        InvalidInputError: the rows differ in number, or the metric is undefined on them.
    """
    check_same_length(a=a, b=b)
    sign = 1.0 if higher_is_better else -1.0
    codes = None if clusters is None else cluster_codes(clusters)
    once = np.ones((1, len(a)))
    difference = sign * float((combine(a, once) - combine(b, once))[0])
    if math.isnan(difference):
        raise InvalidInputError("the metric is undefined on these rows")
    chunks = resample(len(a), codes=codes, replicates=replicates, seed=seed)
    drawn = np.concatenate([sign * (combine(a, weights) - combine(b, weights)) for weights in chunks])
    interval = percentile_interval(drawn, confidence=confidence)
    p_value = _normal_p(difference, float(np.nanstd(drawn, ddof=1)))
    method = "paired_bootstrap" if clusters is None else "clustered_paired_bootstrap"
    return _decided(difference, interval, p_value, margin, n=len(a), method=method)


def compare_terms(
    metric: Metric,
    a: FloatArray,
    b: FloatArray,
    *,
    margin: float = 0.0,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Two models by any metric on the same rows, with the test that suits it; rows that cannot be scored are left out.

    Args:
        metric: what is compared.
        a: the first model's terms, shape (n, d).
        b: the second's, on the same rows in the same order.
        margin: the loss that would be put up with, in units of the metric.
        clusters: n labels; rows of one cluster may depend on one another.
        confidence: of the interval.
        seed: of the drawing, for metrics without a closed form.

    Raises:
        InvalidInputError: the rows differ in number, or the metric is undefined on them.
    """
    check_same_length(a=a, b=b)
    known = scored_rows(a) & scored_rows(b)
    first, second = a[known], b[known]
    units = None if clusters is None else cluster_codes(clusters)[known]
    if metric.is_mean:
        gain = metric.higher_is_better
        return compare_means(
            first[:, 0], second[:, 0], higher_is_better=gain, margin=margin, clusters=units, confidence=confidence
        )
    if metric.name == "roc_auc":
        labels, left, right = first[:, 0], first[:, 1], second[:, 1]
        return compare_auc(labels, left, right, margin=margin, clusters=units, confidence=confidence)
    return compare_resampled(
        first,
        second,
        metric.combine,
        higher_is_better=metric.higher_is_better,
        margin=margin,
        clusters=units,
        confidence=confidence,
        seed=seed,
    )


def standing(low: float, high: float, margin: float) -> Standing:
    """What an interval of the gain says, given the loss that would be put up with."""
    if low > 0:
        return Standing.BETTER
    if low >= -margin:
        return Standing.NOT_WORSE
    return Standing.WORSE if high < 0 else Standing.TIE


def _student(
    difference: float, error: float, freedom: int, margin: float, confidence: float, *, n: int, method: str
) -> Comparison:
    # A handful of rows that agree to the last digit have no spread, and yet they show nothing.
    if freedom < 1 or (error == 0 and difference != 0 and freedom < _FEW):
        return _decided(difference, Interval(-math.inf, math.inf), 1.0, margin, n=n, method=method)
    reach = float(special.stdtrit(freedom, 0.5 + confidence / 2))
    interval = Interval(difference - reach * error, difference + reach * error)
    p_value = float(2 * special.stdtr(freedom, -abs(difference) / error)) if error else float(difference == 0)
    return _decided(difference, interval, p_value, margin, n=n, method=method)


def _decided(
    difference: float, interval: Interval, p_value: float, margin: float, *, n: int, method: str
) -> Comparison:
    if margin < 0:
        raise InvalidInputError(f"a margin of {margin} makes no sense", hint="give zero or more", field="margin")
    return Comparison(
        difference=difference,
        low=interval.low if math.isfinite(interval.low) else None,
        high=interval.high if math.isfinite(interval.high) else None,
        p_value=p_value,
        margin=margin,
        verdict=standing(interval.low, interval.high, margin),
        n=n,
        method=method,
    )


def _normal_p(difference: float, error: float) -> float:
    return float(2 * special.ndtr(-abs(difference) / error)) if error else float(difference == 0)
