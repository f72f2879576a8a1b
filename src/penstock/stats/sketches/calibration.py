"""Predicted chances in bins, each with what became of them: of how many rows, how likely, how often."""

import numpy as np
from msgspec import Struct

from penstock.stats.arrays import FloatArray

BINS = 20  # of equal width


class CalibrationHistogram(Struct, frozen=True):
    """Rows by predicted chance.

    Attributes:
        rows: predictions in each bin; where there is no outcome yet as well.
        known: those with an outcome.
        chances: the sum of the predicted chances of those with an outcome.
        events: how many of them came true.
    """

    rows: tuple[int, ...] = (0,) * BINS
    known: tuple[int, ...] = (0,) * BINS
    chances: tuple[float, ...] = (0.0,) * BINS
    events: tuple[float, ...] = (0.0,) * BINS

    def merge(self, other: "CalibrationHistogram") -> "CalibrationHistogram":
        """Of the predictions of both."""
        return CalibrationHistogram(
            tuple(a + b for a, b in zip(self.rows, other.rows, strict=True)),
            tuple(a + b for a, b in zip(self.known, other.known, strict=True)),
            tuple(a + b for a, b in zip(self.chances, other.chances, strict=True)),
            tuple(a + b for a, b in zip(self.events, other.events, strict=True)),
        )

    @property
    def calibration_error(self) -> float | None:
        """The mean distance of what was predicted from what came true, over the bins; None without outcomes."""
        known = sum(self.known)
        apart = sum(abs(chance - event) for chance, event in zip(self.chances, self.events, strict=True))
        return apart / known if known else None


def calibration_of(chances: FloatArray, outcomes: FloatArray) -> CalibrationHistogram:
    """The histogram of some predictions.

    Args:
        chances: predicted, 0 to 1, shape (n,).
        outcomes: 1 where it came true, 0 where not, NaN where nobody knows yet; shape (n,).
    """
    bins = np.clip((chances * BINS).astype(np.int64), 0, BINS - 1)
    known = ~np.isnan(outcomes)
    count = [np.bincount(each, minlength=BINS) for each in (bins, bins[known])]
    sums = [np.bincount(bins[known], weights=each[known], minlength=BINS) for each in (chances, outcomes)]
    return CalibrationHistogram(
        tuple(count[0].tolist()), tuple(count[1].tolist()), tuple(sums[0].tolist()), tuple(sums[1].tolist())
    )
