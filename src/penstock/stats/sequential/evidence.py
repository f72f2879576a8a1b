"""Evidence that a mean in [0, 1] is lower, or higher, than supposed: from sums alone, in whatever order they came."""

import math
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from penstock.core.errors import InvalidInputError
from penstock.stats.arrays import FloatArray

Numbers = Any  # a number, or an array with one for each of the runs that are looked at together

_BETS = 14
_SIZES = 0.5 ** np.arange(_BETS)  # of a bet, as a share of the boldest one
_ABSTAIN = 0.25  # the part of the capital that is never bet: what evidence cannot fall below
_LOG_WEIGHTS = np.log((1 - _ABSTAIN) / (np.arange(_BETS) + 2) / (1 / (np.arange(_BETS) + 2)).sum())
_STAKES = 0.95 * _SIZES  # of bets that know the variance
_COSTS = -np.log1p(-_STAKES) - _STAKES
_FARTHEST = _STAKES / (2 * _COSTS + _STAKES)  # supposed mean up to which their evidence grows with it for sure
_NEARLY_ONE = 1 - 1e-12
_TINY = 1e-300  # instead of zero, where a logarithm is multiplied by a count that may be zero


class Sums(Struct, frozen=True, kw_only=True):
    """What values between 0 and 1 add up to; the sums of batches add up in turn.

    Attributes:
        n: how many values.
        total: their sum; of zeros and ones, how many ones.
        squares: the sum of their squares, by which values of a small variance are told apart sooner; None for zeros and
            ones, or where it is not known.
    """

    n: Numbers = 0
    total: Numbers = 0.0
    squares: Numbers = None

    def __add__(self, other: "Sums") -> "Sums":
        known = self.squares is not None and other.squares is not None
        return Sums(
            n=self.n + other.n,
            total=self.total + other.total,
            squares=self.squares + other.squares if known else None,
        )

    @property
    def mean(self) -> FloatArray:
        """The mean so far; a half where nothing was seen."""
        n, total = np.asarray(self.n, dtype=np.float64), np.asarray(self.total, dtype=np.float64)
        mean = np.full(np.broadcast(n, total).shape, 0.5)
        np.divide(total, n, out=mean, where=n > 0)
        return mean

    @property
    def error(self) -> FloatArray:
        """About the standard error of the mean; never zero."""
        n = np.maximum(np.asarray(self.n, dtype=np.float64), 1.0)
        mean = self.mean
        second = mean if self.squares is None else np.asarray(self.squares, dtype=np.float64) / n
        return np.asarray(np.sqrt((np.maximum(second - mean**2, 0.0) + 1 / n) / n), dtype=np.float64)

    @property
    def mirrored(self) -> "Sums":
        """The sums of one minus each value."""
        squares = None if self.squares is None else self.n - 2 * self.total + self.squares
        return Sums(n=self.n, total=self.n - self.total, squares=squares)

    def check(self) -> None:
        """See that such sums can be.

        Raises:
            InvalidInputError: they cannot come from that many values between 0 and 1.
        """
        total, n = np.asarray(self.total), np.asarray(self.n)
        if not ((total >= 0) & (total <= n)).all():
            raise InvalidInputError(f"a sum of {self.total} from {self.n} values between 0 and 1 cannot be")
        if self.squares is not None and not (np.asarray(self.squares) <= total * (1 + 1e-9) + 1e-9).all():
            raise InvalidInputError(f"squares of values between 0 and 1 cannot add up to {self.squares}")


def add_up(values: ArrayLike) -> Sums:
    """The sums of values, shape (k,), each between 0 and 1.

    Raises:
        InvalidInputError: one is not, or is NaN.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        raise InvalidInputError("a value lies outside 0 to 1", hint="scale it by its bounds", field="values")
    return Sums(n=int(x.size), total=float(x.sum()), squares=float((x**2).sum()))


def evidence_below(sums: Sums, mean: ArrayLike) -> Any:
    """Log e-value against a mean of `mean` or more: is it lower? Never falls when `mean` rises.

    The capital of a gambler who divides it among bets of 14 sizes, each half as bold as the one before, and keeps a
    quarter. It is a function of sums, so neither order nor batches matter; rows of other arms may come in between.

    Args:
        sums: of values whose mean, given all that came before, does not change.
        mean: the hypothesis, between 0 and 1; broadcasts with the sums.

    Source: capital of fixed bets, Waudby-Smith and Ramdas 2024 (Estimating means of bounded random variables by
    betting); for values between 0 and 1 the logarithm of a bet is bounded by its chord. With squares, half the
    capital is bet by the bound of Fan, Grama and Liu 2015: 1 + sy >= exp(sy - c(s) y^2) for y >= -1, here with
    y = (mean - value) / (1 - mean).
    """
    n, total, null = (np.asarray(value, dtype=np.float64)[..., None] for value in (sums.n, sums.total, mean))
    null = np.minimum(null, _NEARLY_ONE)
    capital = _divide((n - total) * -np.log1p(-null) * _SIZES + total * _log_ratio(null))
    if sums.squares is None:
        return capital
    missing, squares = n - total, n - 2 * total + np.asarray(sums.squares, dtype=np.float64)[..., None]
    scale = 1 / (1 - np.minimum(null, _FARTHEST))  # a bet against a lower mean is one against this mean as well
    spread = np.maximum(scale**2 * squares - 2 * scale * missing + n, 0.0)
    return np.logaddexp(capital, _divide(_STAKES * (scale * missing - n) - _COSTS * spread)) - math.log(2)


def evidence_above(sums: Sums, mean: ArrayLike) -> Any:
    """Log e-value against a mean of `mean` or less: is it higher? Never rises when `mean` rises; else as below."""
    return evidence_below(sums.mirrored, 1.0 - np.asarray(mean, dtype=np.float64))


def _log_ratio(null: FloatArray) -> FloatArray:
    """Log of what each bet makes of a one, by the rate it bets on over the supposed one; along the last axis."""
    supposed = np.maximum(null, 1 - _NEARLY_ONE)
    rate = -np.expm1(np.log1p(-supposed) * (1 - _SIZES))
    return np.asarray(np.log(np.maximum(rate / supposed, _TINY)), dtype=np.float64)


def _divide(logs: FloatArray) -> Any:
    """Log of the capital that is divided among the bets on the last axis, and of what is not bet."""
    weighed = logs + _LOG_WEIGHTS
    most = np.maximum(weighed.max(axis=-1), math.log(_ABSTAIN))
    return most + np.log(np.exp(weighed - most[..., None]).sum(axis=-1) + np.exp(math.log(_ABSTAIN) - most))
