"""Rows that belong together are alike: how many of them count as one."""

import numpy as np

from penstock.stats.arrays import IntArray


def design_effect(labels: IntArray, groups: IntArray | None) -> float:
    """How many rows of these count as one independent row; at least 1.

    Args:
        labels: category of each row as 0, 1, 2 ...
        groups: key of each row likewise; None where every row stands for itself.

    Source: the mean generalised design effect of Rao and Scott 1981, with the linearised variance of clusters.
    """
    n, categories = len(labels), int(labels.max(initial=0)) + 1
    keys = 0 if groups is None else int(groups.max(initial=-1)) + 1
    if groups is None or keys == n or keys < 2 or categories < 2:
        return 1.0
    share = np.bincount(labels, minlength=categories) / n
    size = np.bincount(groups).astype(np.float64)
    cells, counts = np.unique(groups * categories + labels, return_counts=True)
    group, label = cells // categories, cells % categories
    squares = np.bincount(label, weights=counts.astype(np.float64) ** 2, minlength=categories)
    products = np.bincount(label, weights=counts * size[group], minlength=categories)
    spread = squares - 2 * share * products + share**2 * float((size**2).sum())
    used = share > 0
    variance = keys / (keys - 1) * spread[used] / n**2
    return max(float(n / (used.sum() - 1) * (variance / share[used]).sum()), 1.0) if used.sum() > 1 else 1.0
