"""How the values of two sketched columns are spread, in bars that can be drawn side by side."""

import math

import numpy as np

from penstock.datasets.types import Bar, Spread
from penstock.monitoring.columns import holds_lists
from penstock.monitoring.sketches.column import ColumnSketch
from penstock.stats.arrays import FloatArray
from penstock.stats.sketches.frequencies import Frequencies

BARS = 24
_VALUES = 10
_TAIL = 0.005  # of the rows at either end share the outermost bars, so that a few far away do not squeeze the rest


def spread_columns(reference: ColumnSketch, current: ColumnSketch) -> Spread:
    """Ranges of numbers in order, or the most frequent values, and what is missing; nothing where neither is known."""
    is_list = holds_lists(reference)
    labels = [column.first_labels() if is_list else column.labels for column in (reference, current)]
    is_few = reference.is_whole and labels[0] is not None and labels[1] is not None
    if reference.family == "number" and current.family in ("number", "empty") and not is_few:
        return Spread(_ranges(reference, current), is_ranges=True)
    if labels[0] is None or labels[1] is None:
        return Spread((), is_ranges=False)
    return Spread(_values(reference, current, labels[0], labels[1]), is_ranges=False)


def _ranges(reference: ColumnSketch, current: ColumnSketch) -> tuple[Bar, ...]:
    held = [column for column in (reference, current) if column.held]
    ends = np.array([column.numbers.quantiles([_TAIL, 1 - _TAIL]) for column in held])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    edges = _edges(low, high, is_whole=all(column.is_whole for column in held))
    shares = [_shares(column, edges) for column in (reference, current)]
    edges[0] = min(column.moments.low for column in held)
    edges[-1] = max(column.moments.high for column in held)
    return tuple(
        Bar(f"{edges[n]:.4g} to {edges[n + 1]:.4g}", float(shares[0][n]), float(shares[1][n]))
        for n in range(len(edges) - 1)
    )


def _edges(low: float, high: float, *, is_whole: bool) -> FloatArray:
    """Of ranges of equal width; those of whole numbers hold equally many of them."""
    if is_whole:
        step = max(math.ceil((high - low + 1) / BARS), 1)
        return np.arange(low - 0.5, high + step, step)
    return np.linspace(low, high, BARS + 1) if low < high else np.linspace(low - 0.5, high + 0.5, BARS + 1)


def _shares(column: ColumnSketch, edges: FloatArray) -> FloatArray:
    """Of all rows, in each range; the outermost hold what is beyond as well."""
    below = column.numbers.shares_up_to(edges)
    below[0], below[-1] = 0.0, float(column.held > 0)
    return np.asarray(np.diff(below) * column.held / max(column.rows, 1), dtype=np.float64)


def _values(reference: ColumnSketch, current: ColumnSketch, *labels: Frequencies) -> tuple[Bar, ...]:
    rows = [max(column.rows, 1) for column in (reference, current)]
    shares = [{text: n / count for text, n in each.counts.items()} for each, count in zip(labels, rows, strict=True)]
    total = {text: sum(share.get(text, 0.0) for share in shares) for text in shares[0].keys() | shares[1].keys()}
    shown = sorted(total, key=lambda text: (-total[text], text))[:_VALUES]
    bars = [Bar(text, shares[0].get(text, 0.0), shares[1].get(text, 0.0)) for text in shown]
    missing = [1 - each.rows / count for each, count in zip(labels, rows, strict=True)]
    others = [
        1 - gone - sum(share.get(text, 0.0) for text in shown) for gone, share in zip(missing, shares, strict=True)
    ]
    bars += [
        Bar(name, max(a, 0.0), max(b, 0.0))
        for name, (a, b) in (("others", others), ("missing", missing))
        if max(a, b) > 1e-9
    ]
    return tuple(bars)
