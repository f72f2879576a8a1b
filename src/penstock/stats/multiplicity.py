"""Corrections for asking many questions at once: adjusted p-values, and a choice among e-values."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.core.errors import InvalidInputError
from penstock.stats.arrays import BoolArray, FloatArray, check_level


def bonferroni(p_values: ArrayLike) -> FloatArray:
    """Adjusted p-values, shape (k,); rejecting those at most alpha keeps the chance of any false alarm at alpha."""
    raw = _checked(p_values)
    return np.minimum(raw * len(raw), 1.0)


def holm(p_values: ArrayLike) -> FloatArray:
    """As `bonferroni`, never weaker; under any dependence.

    Source: Holm 1979.
    """
    raw = _checked(p_values)
    order = np.argsort(raw, kind="stable")
    steps = raw[order] * np.arange(len(raw), 0, -1)
    return _restored(np.minimum(np.maximum.accumulate(steps), 1.0), order)


def benjamini_hochberg(p_values: ArrayLike) -> FloatArray:
    """Adjusted p-values (q-values), shape (k,); rejecting those at most alpha keeps the share of false ones at alpha.

    Holds for independent or positively dependent tests. Source: Benjamini and Hochberg 1995.
    """
    raw = _checked(p_values)
    order = np.argsort(raw, kind="stable")
    steps = raw[order] * len(raw) / np.arange(1, len(raw) + 1)
    return _restored(np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0), order)


def e_benjamini_hochberg(e_values: ArrayLike, alpha: float) -> BoolArray:
    """Which e-values to act on, shape (k,), with at most a share alpha of false ones, under any dependence.

    Source: Wang and Ramdas 2022, False discovery rate control with e-values.

    Raises:
        InvalidInputError: an e-value is negative or NaN, or alpha is no level.
    """
    values = np.asarray(e_values, dtype=np.float64)
    if np.isnan(values).any() or (values < 0).any():
        raise InvalidInputError("an e-value is negative or NaN", field="e_values")
    count = len(values)
    ranked = np.sort(values)[::-1]
    enough = np.flatnonzero(ranked * np.arange(1, count + 1) >= count / check_level(alpha))
    return values >= ranked[enough[-1]] if len(enough) else np.zeros(count, dtype=np.bool_)


def _checked(p_values: ArrayLike) -> FloatArray:
    raw = np.asarray(p_values, dtype=np.float64)
    if not ((raw >= 0) & (raw <= 1)).all():
        raise InvalidInputError("a p-value lies outside 0 to 1", field="p_values")
    return raw


def _restored(adjusted: FloatArray, order: NDArray[np.intp]) -> FloatArray:
    restored = np.empty_like(adjusted)
    restored[order] = adjusted
    return restored
