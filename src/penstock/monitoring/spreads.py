"""How the values of two sketched columns are spread, in bars that can be drawn side by side."""

import math

import numpy as np

from penstock.datasets.types import Bar, Spread
from penstock.monitoring.columns import holds_lists
from penstock.monitoring.sketches.column import ColumnSketch, find_lists
from penstock.stats.arrays import FloatArray
from penstock.stats.sketches.frequencies import Frequencies

BARS = 24
_VALUES = 10
_TAIL = 0.005  # of the rows at either end share the outermost bars, so that a few far away do not squeeze the rest


def spread_parts(reference: ColumnSketch, current: ColumnSketch) -> dict[str, Spread]:
    """What can be drawn of two columns of lists, by what it shows, the most telling first; nothing of other columns."""
    before, now, spreads = reference.lists, find_lists(current), dict[str, Spread]()
    if before is None or now is None:
        return spreads
    if before.items is not None and now.items is not None:
        spreads["Rows that hold an item"] = Spread(
            _items((reference, before.items), (current, now.items)), is_ranges=False
        )
        spreads["Newest item"] = _spread_values(reference, current)
    if before.norms is not None and now.norms is not None:
        spreads["Norm"] = _spread_numbers(before.norms, now.norms)
    is_fixed = before.lengths.distinct == now.lengths.distinct == 1
    spread_lengths = _spread_values if is_fixed else _spread_numbers
    return spreads | {"Length": spread_lengths(before.lengths, now.lengths)}


def spread_columns(reference: ColumnSketch, current: ColumnSketch) -> Spread:
    """Ranges of numbers in order, or the most frequent values or items, and what is missing."""
    return next(iter(spread_parts(reference, current).values()), None) or _spread_values(reference, current)


def _spread_values(reference: ColumnSketch, current: ColumnSketch) -> Spread:
    is_list = holds_lists(reference)
    labels = [column.first_labels() if is_list else column.labels for column in (reference, current)]
    is_few = reference.is_whole and labels[0] is not None and labels[1] is not None
    if not is_few:
        ranges = _spread_numbers(reference, current)
        if ranges.bars:
            return ranges
    if labels[0] is None or labels[1] is None:
        return Spread((), is_ranges=False)
    return Spread(_values(reference, current, labels[0], labels[1]), is_ranges=False)


def _spread_numbers(reference: ColumnSketch, current: ColumnSketch) -> Spread:
    is_number = reference.family == "number" and current.family in ("number", "empty")
    return Spread(_ranges(reference, current) if is_number else (), is_ranges=is_number)


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


def _items(*sides: tuple[ColumnSketch, Frequencies]) -> tuple[Bar, ...]:
    """The most frequent items of lists with the share of the rows that hold each; these add up to more than one."""
    shares = [{item: n / max(column.rows, 1) for item, n in items.counts.items()} for column, items in sides]
    total = {item: sum(share.get(item, 0.0) for share in shares) for item in shares[0].keys() | shares[1].keys()}
    shown = sorted(total, key=lambda item: (-total[item], item))[:_VALUES]
    bars = [Bar(item, shares[0].get(item, 0.0), shares[1].get(item, 0.0)) for item in shown]
    missing = [column.missing / max(column.rows, 1) for column, _ in sides]
    return (*bars, Bar("no item", *missing)) if any(missing) else tuple(bars)


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
