"""Rows that are not fit to learn from: too few, without one of the classes, or broken on the way here.

Broken rows ask for a repair of the data: a model that learns from them, or is judged by them, learns the fault.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.stats.arrays import BoolArray, FloatArray

FEWEST_ROWS = 50
# Of every class there ever was, or all that there were: the hundred events below which a model of them, and what is
# measured of it, cannot be relied on (Vergouwe et al. 2005, Journal of Clinical Epidemiology 58).
FEWEST_OF_A_CLASS = 100
_MOST = 0.5  # share of the rows of a stretch that may be of a kind there was not before


def lacks_classes(known: NDArray[Any], held: NDArray[Any]) -> bool:
    """Whether some rows hold too few of a class: a model of them would have forgotten it.

    Args:
        known: codes of all rows there are.
        held: those of the rows that would be learned from.
    """
    there_were = np.bincount(known.astype(np.int64))
    there_are = np.bincount(held.astype(np.int64), minlength=len(there_were))
    return bool((there_are < np.minimum(there_were, FEWEST_OF_A_CLASS)).any())


def find_missing(before: BoolArray, now: BoolArray, names: Sequence[str]) -> str:
    """The column that went missing at once, in plain words; empty where none did.

    Args:
        before: shape (n, d), whether a value was missing in rows that were fit to learn from.
        now: shape (m, d), the same of a stretch.
        names: of the d columns.
    """
    more = now.mean(axis=0) - before.mean(axis=0)
    worst = int(more.argmax())
    return f"{names[worst]} is missing in {more[worst]:.0%} more of the rows than before" if more[worst] > _MOST else ""


def find_copies(before: FloatArray, now: FloatArray) -> str:
    """Whether a stretch is one row over and over, and the rows before were not; in plain words, empty where it is not.

    Args:
        before: shape (n, d), rows that were fit to learn from; NaN where a value is missing or unknown.
        now: shape (m, d).
    """
    if len(now) < FEWEST_ROWS:
        return ""
    share = _copies(now)
    return f"{share:.0%} of the rows are one and the same" if share - _copies(before[-len(now) :]) > _MOST else ""


def _copies(rows: FloatArray) -> float:
    """The share of the most frequent row."""
    _, counts = np.unique(np.nan_to_num(rows, nan=np.inf), axis=0, return_counts=True)
    return float(counts.max()) / len(rows)
