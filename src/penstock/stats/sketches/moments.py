"""Number, mean, spread and ends of numbers, of parts that are put together."""

import math

import numpy as np
from msgspec import Struct

from penstock.stats.arrays import FloatArray


class Moments(Struct, frozen=True):
    """The moments of some numbers.

    Attributes:
        rows: how many numbers.
        mean: of them; 0 without any.
        squares: the sum of their squared distances from the mean.
        low: the smallest; infinity without any.
        high: the largest; minus infinity without any.
    """

    rows: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    @property
    def deviation(self) -> float:
        """The standard deviation; 0 of fewer than two numbers."""
        return math.sqrt(max(self.squares, 0.0) / (self.rows - 1)) if self.rows > 1 else 0.0

    def merge(self, other: "Moments") -> "Moments":
        """Of the numbers of both. Source: Chan, Golub and LeVeque 1983."""
        if not self.rows or not other.rows:
            return self if self.rows else other
        rows, apart = self.rows + other.rows, other.mean - self.mean
        return Moments(
            rows,
            self.mean + apart * other.rows / rows,
            self.squares + other.squares + apart * apart * self.rows * other.rows / rows,
            min(self.low, other.low),
            max(self.high, other.high),
        )


def moments_of(values: FloatArray) -> Moments:
    """The moments of numbers, shape (n,), all finite."""
    if not len(values):
        return Moments()
    with np.errstate(over="ignore", invalid="ignore"):  # the squares of the largest numbers are no numbers
        mean = float(values.mean())
        apart = values - mean
        squares = float(np.square(apart, out=apart).sum())  # a dot product depends on where in memory the numbers lie
    return Moments(len(values), mean, squares, float(values.min()), float(values.max()))
