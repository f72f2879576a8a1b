"""Confidence sequences of one mean, and of the difference of two; each end has a level of its own."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from penstock.stats.arrays import FloatArray, check_level
from penstock.stats.intervals import Interval
from penstock.stats.sequential.evidence import Sums, evidence_above, evidence_below

_CELLS = 64  # of the nuisance mean between where either arm gives way
_CUTS = 6  # of the step in which an end was found
_HALVINGS = 30  # of 0 to 1
_USUAL = 3.0  # standard errors from a mean to an end


def mean_sequence(sums: Sums, *, alpha_low: float, alpha_high: float) -> Interval:
    """Confidence sequence of a mean of values between 0 and 1.

    Args:
        sums: of the values, in whatever order they came.
        alpha_low: chance that the mean ever lies below the interval.
        alpha_high: chance that it ever lies above.
    """
    sums.check()
    mean, step = float(sums.mean), _USUAL * float(sums.error)
    return Interval(
        find_end(lambda null: float(evidence_above(sums, null)), mean, 0.0, alpha_low, step),
        find_end(lambda null: float(evidence_below(sums, null)), mean, 1.0, alpha_high, step),
    )


def upper_sequence(sums: Sums, *, alpha: float) -> FloatArray:
    """The upper ends of the confidence sequence of a mean at many times at once, shape (k,), as `mean_sequence` has it.

    Args:
        sums: of the values up to each time; its parts have shape (k,).
        alpha: chance that the mean ever lies above.
    """
    sums.check()
    bar = -math.log(check_level(alpha))
    low, high = np.broadcast_to(sums.mean, np.shape(sums.n)), np.ones(np.shape(sums.n))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        is_refused = evidence_below(sums, middle) >= bar
        low, high = np.where(is_refused, low, middle), np.where(is_refused, middle, high)
    return np.asarray(high, dtype=np.float64)


def difference_sequence(b: Sums, a: Sums, *, alpha_low: float, alpha_high: float) -> Interval:
    """Confidence sequence of (mean of b) - (mean of a).

    Args:
        b: of one arm; its rows and those of the other may come in any order and proportion.
        a: of the other.
        alpha_low: chance that the difference ever lies below the interval.
        alpha_high: chance that it ever lies above.
    """
    b.check()
    a.check()
    difference, step = float(b.mean - a.mean), _USUAL * float(a.error + b.error)
    return Interval(
        find_end(lambda null: float(evidence_of_more(b, a, null)), difference, -1.0, alpha_low, step),
        find_end(lambda null: float(evidence_of_less(b, a, null)), difference, 1.0, alpha_high, step),
    )


def evidence_of_less(b: Sums, a: Sums, difference: ArrayLike) -> Any:
    """Log e-value against (mean of b) - (mean of a) being `difference` or more, whatever the mean of a is.

    For any mean of a, the product of the evidence of both arms is an e-value; the least favourable mean is searched
    cell by cell. In a cell either factor is taken at its lower end, as both are monotone: the result errs, by little,
    on the side of no evidence. All arguments broadcast.

    Source: an e-process for a composite hypothesis is the infimum over its parts; compare Turner, Ly and Grünwald
    2024 (Generic e-variables for exact sequential k-sample tests), whose e-values need blocks of fixed sizes.
    """
    d = np.asarray(difference, dtype=np.float64)
    first, last = np.maximum(0.0, -d), np.minimum(1.0, 1.0 - d)
    means = _cut(np.minimum(a.mean, b.mean - d), np.maximum(a.mean, b.mean - d), a.error + b.error, first, last)
    of_b, of_a = _with_axis(b), _with_axis(a)
    shifted = np.clip(means[..., :-1] + d[..., None], 0.0, 1.0)
    both = evidence_below(of_b, shifted) + evidence_above(of_a, means[..., 1:])
    return np.where(first > last, np.inf, both.min(axis=-1))


def evidence_of_more(b: Sums, a: Sums, difference: ArrayLike) -> Any:
    """Log e-value against (mean of b) - (mean of a) being `difference` or less; else as `evidence_of_less`."""
    return evidence_of_less(a, b, -np.asarray(difference, dtype=np.float64))


def find_end(evidence: Callable[[float], float], inside: float, outside: float, alpha: float, step: float) -> float:
    """The last value on the way from inside to outside that is not refused; some per cent further out at most.

    Args:
        evidence: log e-value against a value; it grows on the way.
        inside: a value that it does not refuse.
        outside: the last value there can be.
        alpha: the level of the refusal.
        step: a guess of how far the end is away.
    """
    bar = -math.log(check_level(alpha))
    reach, way = abs(outside - inside), math.copysign(1.0, outside - inside)

    def excess(distance: float) -> float:
        """How far the evidence is above the bar, by its root: evidence grows about as the square of a distance."""
        found = float(evidence(inside + way * distance))
        return math.sqrt(max(found, 0.0)) - math.sqrt(bar)

    low, short = 0.0, -math.sqrt(bar)
    high = min(step, reach)
    while (over := excess(high)) < 0:
        if high >= reach:
            return outside
        low, short, high = high, over, min(2 * high, reach)
    for _ in range(_CUTS):
        is_steep = over > -2 * short  # then halve it; else cut where a straight line crosses, and a hair beyond
        share = 0.5 if is_steep else -short / (over - short) + 0.02
        middle = low + (high - low) * share
        found = excess(middle)
        low, short, high, over = (low, short, middle, found) if found >= 0 else (middle, found, high, over)
    return math.nextafter(inside + way * high, inside)  # what is refused does not belong to the interval


def _cut(low: FloatArray, high: FloatArray, error: FloatArray, first: FloatArray, last: FloatArray) -> FloatArray:
    """Bounds of cells that cover first to last, close together from `low` to `high` and some errors beyond."""
    near, far = np.clip(low - 2 * error, first, last), np.clip(high + 2 * error, first, last)
    inner = np.linspace(near, far, _CELLS + 1, axis=-1)
    ends = [np.broadcast_to(end, near.shape)[..., None] for end in (first, last)]
    return np.concatenate(
        [ends[0], (ends[0] + inner[..., :1]) / 2, inner, (inner[..., -1:] + ends[1]) / 2, ends[1]], -1
    )


def _with_axis(sums: Sums) -> Sums:
    """The sums with one more axis, along which hypotheses are laid out."""
    squares = None if sums.squares is None else np.asarray(sums.squares)[..., None]
    return Sums(n=np.asarray(sums.n)[..., None], total=np.asarray(sums.total)[..., None], squares=squares)
