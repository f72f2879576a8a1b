"""Confidence sequences of a quantile, and of how far one arm's lies above another's, from counts in ordered buckets."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from penstock.core.errors import InvalidInputError
from penstock.stats.arrays import FloatArray, IntArray, check_level
from penstock.stats.sequential.evidence import Sums, evidence_above, evidence_below

Buckets = Sequence[tuple[int, int]]  # (bucket, values in it), by bucket


def quantile_sequence(
    counts: Buckets, quantile: float, *, alpha_low: float, alpha_high: float
) -> tuple[int | None, int | None]:
    """Confidence sequence of the bucket that holds a quantile.

    Args:
        counts: values by bucket.
        quantile: the share of all values that lie in its bucket or below, strictly between 0 and 1.
        alpha_low: chance that the bucket ever lies below the interval.
        alpha_high: chance that it ever lies above.

    Returns:
        First and last bucket; None for an end of which nothing is known.

    Source: Howard and Ramdas 2022 (Sequential estimation of quantiles), with the evidence of this folder: a quantile
    lies above a bucket when more than its share of values does.
    """
    buckets, above, n = _lay_out(counts, counts)[:3]
    tail = _tail_of(quantile)
    sums = Sums(n=n, total=above)
    is_higher = evidence_above(sums, tail) >= -math.log(check_level(alpha_low))
    is_at_most = evidence_below(sums, tail) >= -math.log(check_level(alpha_high))
    low = int(buckets[is_higher][-1]) + 1 if is_higher.any() else None
    high = int(buckets[is_at_most][0]) if is_at_most.any() else None
    return low, high


def quantile_shift_sequence(
    b: Buckets, a: Buckets, quantile: float, *, alpha_low: float, alpha_high: float
) -> tuple[int | None, int | None]:
    """Confidence sequence of by how many buckets the quantile of b lies above that of a.

    In buckets of equal ratio that is a ratio of quantiles. Whatever bucket t holds the quantile of a, the evidence that
    it lies above t times the evidence that b's lies below t and the shift is an e-value; the least favourable t counts.

    Args:
        b: values of one arm by bucket.
        a: values of the other.
        quantile: strictly between 0 and 1.
        alpha_low: chance that the shift ever lies below the interval.
        alpha_high: chance that it ever lies above.

    Returns:
        Least and greatest shift; None for an end of which nothing is known.
    """
    buckets, above_b, n_b, above_a, n_a = _lay_out(b, a)
    tail, arms = _tail_of(quantile), (Sums(n=n_b, total=above_b), Sums(n=n_a, total=above_a))
    higher_b, higher_a = (evidence_above(arm, tail) for arm in arms)
    lower_b, lower_a = (evidence_below(arm, tail) for arm in arms)
    span = len(buckets)
    low = _greatest_refused(higher_b, lower_a, span, check_level(alpha_low))
    high = _greatest_refused(higher_a, lower_b, span, check_level(alpha_high))
    return (None if low is None else low + 1), (None if high is None else -high - 1)


def evidence_of_shift(higher: ArrayLike, lower: ArrayLike, shift: int) -> Any:
    """Log e-value against the quantile of one arm lying at most `shift` buckets above that of another.

    Args:
        higher: log evidence by bucket that the quantile of the one lies above it, last axis.
        lower: log evidence by bucket that the quantile of the other lies in it or below.
        shift: in buckets, of either sign.
    """
    one, other = np.asarray(higher, dtype=np.float64), np.asarray(lower, dtype=np.float64)
    # The other's quantile is t, so the one's is at most t + shift: beside that, the other may not lie below t.
    places = np.arange(-abs(shift) - 1, one.shape[-1] + abs(shift) + 1)
    return (_at(one, places + shift) + _at(other, places - 1)).min(axis=-1)


def _greatest_refused(higher: FloatArray, lower: FloatArray, span: int, alpha: float) -> int | None:
    """The greatest shift that is refused, as the evidence falls when it rises; None when none is."""
    bar = -math.log(alpha)
    held, refused = span, -span - 1
    if evidence_of_shift(higher, lower, refused) < bar:
        return None
    while held - refused > 1:
        middle = (held + refused) // 2
        is_refused = bool(evidence_of_shift(higher, lower, middle) >= bar)
        held, refused = (held, middle) if is_refused else (middle, refused)
    return refused


def _at(values: FloatArray, places: IntArray) -> FloatArray:
    """Values at places, those at the ends also beyond them."""
    return np.asarray(values[..., np.clip(places, 0, values.shape[-1] - 1)], dtype=np.float64)


def _lay_out(b: Buckets, a: Buckets) -> tuple[IntArray, FloatArray, int, FloatArray, int]:
    """All buckets from before the first to the last used one, and how many values of either arm lie above each."""
    used = [bucket for bucket, _ in (*b, *a)]
    first, last = (min(used) - 1, max(used)) if used else (0, 0)
    sides = []
    for counts in (b, a):
        held = np.zeros(last - first + 1)
        for bucket, count in counts:
            held[bucket - first] += count
        sides.append((held.sum() - np.cumsum(held), int(held.sum())))
    return np.arange(first, last + 1), *sides[0], *sides[1]


def _tail_of(quantile: float) -> float:
    if not 0 < quantile < 1:
        raise InvalidInputError(f"there is no quantile {quantile}", hint="give one between 0 and 1, such as 0.99")
    return 1.0 - quantile
