"""Gains of one model over another, added up over stretches of rows with what chance may have done to the sum."""

import math

from msgspec import Struct

from penstock.stats.arrays import FloatArray


class Evidence(Struct, frozen=True, kw_only=True):
    """A sum of mean gains, one of each stretch.

    Attributes:
        total: the sum; above zero the second model loses less.
        variance: of that sum.
    """

    total: float = 0.0
    variance: float = 0.0

    def add(self, gains: FloatArray, *, weight: float = 1.0) -> "Evidence":
        """With one stretch more.

        Args:
            gains: loss of the first model less that of the second, a row each.
            weight: how many stretches it stands for.
        """
        if not len(gains):
            return self
        return Evidence(
            total=self.total + weight * float(gains.mean()),
            variance=self.variance + weight**2 * float(gains.var()) / len(gains),
        )

    def times(self, share: float) -> "Evidence":
        """What is left of it when it counts for less."""
        return Evidence(total=self.total * share, variance=self.variance * share**2)

    def at_least(self, z: float) -> float:
        """The sum less so many of its standard errors."""
        return self.total - z * math.sqrt(self.variance)
