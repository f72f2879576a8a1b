"""Intervals around rates, means and any metric: closed forms where they exist, seeded resampling elsewhere."""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy import special

from penstock.core.errors import InvalidInputError
from penstock.stats.arrays import FloatArray, IntArray, as_sample, check_level, check_same_length, cluster_codes

Combine = Callable[[FloatArray, FloatArray], FloatArray]  # (terms, weights of shape (b, n)) to (b,)
Clusters = Sequence[Hashable] | NDArray[Any]

_CHUNK_CELLS = 2_000_000  # weights held at a time, 16 MB
_JACKKNIFE_GROUPS = 200


class Interval(Struct, frozen=True):
    """From `low` to `high`; infinite ends say that nothing is known."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def wilson_interval(successes: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Interval of a rate; sensible also at 0 and n successes.

    Raises:
        InvalidInputError: `successes` is not between 0 and `n`.

    Source: Wilson 1927.
    """
    if not 0 <= successes <= n:
        raise InvalidInputError(f"{successes} successes of {n} tries cannot be")
    if n == 0:
        return Interval(0.0, 1.0)
    z = normal_quantile(confidence)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return Interval(min(max(centre - half, 0.0), rate), max(min(centre + half, 1.0), rate))


def mean_interval(values: ArrayLike, *, clusters: Clusters | None = None, confidence: float = 0.95) -> Interval:
    """Student's interval of a mean; with clusters, of rows that are alike within each.

    Args:
        values: shape (n,).
        clusters: n labels; rows of one cluster may depend on one another, clusters may not.
        confidence: chance to hold the mean.

    Returns:
        Infinite ends when there are fewer than two independent units.

    Source: for clusters, the linearised ratio estimator (Cochran 1977, chapter 9) with m - 1 degrees of freedom.
    """
    sample = as_sample(values, "values")
    error, freedom = mean_error(sample, clusters)
    if freedom < 1:
        return Interval(-math.inf, math.inf)
    half = float(special.stdtrit(freedom, 0.5 + _share(confidence) / 2)) * error
    mean = float(sample.mean())
    return Interval(mean - half, mean + half)


def mean_error(sample: FloatArray, clusters: Clusters | None = None) -> tuple[float, int]:
    """Standard error of the mean of a sample and its degrees of freedom; (inf, 0) with fewer than two units."""
    n = len(sample)
    if clusters is None:
        return (float(sample.std(ddof=1)) / math.sqrt(n), n - 1) if n > 1 else (math.inf, 0)
    check_same_length(values=sample, clusters=clusters)
    off = np.bincount(cluster_codes(clusters), weights=sample - sample.mean())
    m = len(off)
    return (math.sqrt(m / (m - 1) * float((off**2).sum())) / n, m - 1) if m > 1 else (math.inf, 0)


def difference_interval(
    a: ArrayLike, b: ArrayLike, *, clusters: Clusters | None = None, confidence: float = 0.95
) -> Interval:
    """Interval of the mean of a - b on the same rows; see `mean_interval`."""
    first, second = as_sample(a, "a"), as_sample(b, "b")
    check_same_length(a=first, b=second)
    return mean_interval(first - second, clusters=clusters, confidence=confidence)


def resample(
    n: int, *, codes: IntArray | None = None, replicates: int = 1000, seed: int | np.random.Generator = 0
) -> Iterator[FloatArray]:
    """How often each row stands in each bootstrap sample, in chunks of shape (b, n).

    Args:
        n: rows.
        codes: cluster of each row as 0 .. m - 1 (`cluster_codes`); whole clusters are then drawn.
        replicates: samples in all chunks together.
        seed: the same seed gives the same weights.
    """
    generator = np.random.default_rng(seed)
    units = n if codes is None else int(codes.max(initial=-1)) + 1
    size = max(1, _CHUNK_CELLS // max(n, units, 1))
    for start in range(0, replicates, size):
        rows = min(size, replicates - start)
        drawn = generator.integers(units, size=(rows, units), dtype=np.int64)
        drawn += np.arange(rows)[:, None] * units
        counts = np.bincount(drawn.ravel(), minlength=rows * units).reshape(rows, units).astype(np.float64)
        yield counts if codes is None else counts[:, codes]


def bootstrap(
    terms: FloatArray,
    combine: Combine,
    *,
    clusters: Clusters | None = None,
    replicates: int = 1000,
    seed: int | np.random.Generator = 0,
) -> FloatArray:
    """A metric's value on each of many bootstrap samples; shape (replicates,), NaN where it is undefined.

    Args:
        terms: shape (n, d), one row per row of data.
        combine: gives the value for each row of weights.
        clusters: n labels; whole clusters are then drawn.
        replicates: how many samples.
        seed: the same seed gives the same values.
    """
    codes = None if clusters is None else cluster_codes(clusters)
    chunks = resample(len(terms), codes=codes, replicates=replicates, seed=seed)
    return np.concatenate([combine(terms, weights) for weights in chunks])


def bootstrap_interval(
    terms: FloatArray,
    combine: Combine,
    *,
    clusters: Clusters | None = None,
    method: str = "percentile",
    confidence: float = 0.95,
    replicates: int = 1000,
    seed: int | np.random.Generator = 0,
) -> Interval:
    """Interval of any metric by resampling rows, or whole clusters.

    Args:
        terms: shape (n, d); for a plain mean, shape (n, 1).
        combine: gives the value for each row of weights, as `Metric.combine` does.
        clusters: n labels; rows of one cluster are drawn together.
        method: `percentile`, or `bca` (bias-corrected and accelerated), better for skewed metrics of few rows.
        confidence: chance to hold the value, about.
        replicates: bootstrap samples.
        seed: the same seed gives the same interval.

    Raises:
        InvalidInputError: no rows, or an unknown method.

    Source: Efron and Tibshirani 1993, chapters 13 and 14; the acceleration from a jackknife of up to 200 groups.
    """
    if method not in ("percentile", "bca"):
        raise InvalidInputError(f"there is no bootstrap method {method!r}", hint="take 'percentile' or 'bca'")
    if not len(terms):
        raise InvalidInputError("an interval needs at least one row", field="terms")
    values = bootstrap(terms, combine, clusters=clusters, replicates=replicates, seed=seed)
    if method == "percentile":
        return percentile_interval(values, confidence=confidence)
    codes = np.arange(len(terms)) if clusters is None else cluster_codes(clusters)
    return _bca_interval(values, terms, combine, codes, confidence)


def percentile_interval(values: FloatArray, *, confidence: float = 0.95) -> Interval:
    """The middle share of bootstrap values; infinite ends when a tenth of them or more are undefined."""
    known = values[~np.isnan(values)]
    if not len(known) or len(known) <= 0.9 * len(values):
        return Interval(-math.inf, math.inf)
    tail = (1 - _share(confidence)) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return Interval(float(low), float(high))


def normal_quantile(confidence: float) -> float:
    """How many standard errors a two-sided interval of this confidence spans to each side: 1.96 for 0.95."""
    return float(special.ndtri(0.5 + _share(confidence) / 2))


def _bca_interval(
    values: FloatArray, terms: FloatArray, combine: Combine, codes: IntArray, confidence: float
) -> Interval:
    known = values[~np.isnan(values)]
    estimate = float(combine(terms, np.ones((1, len(terms))))[0])
    below = (np.count_nonzero(known < estimate) + 0.5 * np.count_nonzero(known == estimate)) / max(len(known), 1)
    if len(known) <= 0.9 * len(values) or not 0 < below < 1:
        return percentile_interval(values, confidence=confidence)
    bias, acceleration = float(special.ndtri(below)), _acceleration(terms, combine, codes)
    z = normal_quantile(confidence)
    levels = []
    for tail in (-z, z):
        shifted = bias + tail
        levels.append(float(special.ndtr(bias + shifted / (1 - acceleration * shifted))))
    low, high = np.quantile(known, levels)
    return Interval(float(low), float(high))


def _acceleration(terms: FloatArray, combine: Combine, codes: IntArray) -> float:
    groups = min(int(codes.max()) + 1, _JACKKNIFE_GROUPS)
    left_out = (codes % groups)[None, :] == np.arange(groups)[:, None]
    values = combine(terms, np.where(left_out, 0.0, 1.0))
    off = np.nanmean(values) - values[~np.isnan(values)]
    spread = float((off**2).sum())
    return float((off**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def _share(confidence: float) -> float:
    check_level(1 - confidence)
    return confidence
