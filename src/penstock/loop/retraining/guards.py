"""Rows that are not fit to learn from: too few, without one of the classes, or broken on the way here."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from penstock.stats.arrays import FloatArray

FEWEST_ROWS = 50
FEWEST_OF_A_CLASS = 20  # of every class there ever was, or all that there were
_MOST_COPIES = 0.5  # share of a stretch that one and the same row may be, if it was not so before
_MOST_MISSING = 0.5  # share of a column that may go missing at once


def lacks_classes(codes: NDArray[np.int64], chosen: slice) -> bool:
    """Whether some rows hold too few of a class: a model of them would have forgotten it."""
    known = np.bincount(codes[: chosen.stop])
    held = np.bincount(codes[chosen], minlength=len(known))
    return bool((held < np.minimum(known, FEWEST_OF_A_CLASS)).any())


def find_fault(before: FloatArray, now: FloatArray, names: Sequence[str]) -> str:
    """What is wrong with the features of a stretch against the rows before it, in plain words; empty where nothing is.

    Such rows ask for a repair of the data: a model that learns from them, or is judged by them, learns the fault.

    Args:
        before: shape (n, d), rows that were fit to learn from; NaN where a value is missing or unknown.
        now: shape (m, d).
        names: of the d columns.
    """
    if not len(now):
        return "no row came"
    missing = np.isnan(now).mean(axis=0) - np.isnan(before).mean(axis=0)
    worst = int(missing.argmax())
    if missing[worst] > _MOST_MISSING:
        return f"{names[worst]} is missing or unknown in {missing[worst]:.0%} more of the rows than before"
    if len(now) >= FEWEST_ROWS and _copies(now) - _copies(before[-len(now) :]) > _MOST_COPIES:
        return f"{_copies(now):.0%} of the rows are one and the same"
    return ""


def _copies(rows: FloatArray) -> float:
    """The share of the most frequent row."""
    _, counts = np.unique(np.nan_to_num(rows, nan=np.inf), axis=0, return_counts=True)
    return float(counts.max()) / len(rows)
