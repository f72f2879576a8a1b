"""Metrics of ranked lists: per-row values at a depth k, from which items of a list were wanted.

Rows without any wanted item cannot tell a good list from a bad one; they are NaN and left out of every mean.
An item that stands twice in a list counts once, at its first place.
"""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from penstock.stats.arrays import BoolArray, FloatArray, IntArray, check_same_length

Lists = Sequence[Sequence[str]]


class Matches(Struct, frozen=True):
    """Which places of each row's list hold a wanted item; made once and shared by all metrics of the rows."""

    hits: BoolArray  # (n, width), width = the longest list
    wanted: IntArray  # (n,) distinct wanted items
    items: Lists
    relevant: Lists


def match_items(relevant: Lists, items: Lists) -> Matches:
    """Find the wanted items in each list.

    Args:
        relevant: n rows of wanted items, in any order, maybe empty.
        items: n rows of suggested items, best first.

    Raises:
        InvalidInputError: the numbers of rows differ.
    """
    check_same_length(relevant=relevant, items=items)
    width = max((len(row) for row in items), default=0)
    hits = np.zeros((len(items), max(width, 1)), dtype=np.bool_)
    wanted = np.zeros(len(items), dtype=np.int64)
    for number, (suggested, liked) in enumerate(zip(items, relevant, strict=True)):
        open_items = set(liked)
        wanted[number] = len(open_items)
        if open_items.isdisjoint(suggested):
            continue
        for place, item in enumerate(suggested):
            if item in open_items:
                hits[number, place] = True
                open_items.discard(item)
    return Matches(hits, wanted, items, relevant)


def recall_at(matches: Matches, k: int) -> FloatArray:
    """Share of the wanted items among the first k; shape (n,)."""
    return _per_wanted(matches, matches.hits[:, :k].sum(axis=1), matches.wanted)


def precision_at(matches: Matches, k: int) -> FloatArray:
    """Share of the k places that hold a wanted item; a list shorter than k has empty places; shape (n,)."""
    return _per_wanted(matches, matches.hits[:, :k].sum(axis=1), np.full(len(matches.wanted), k))


def hit_rate_at(matches: Matches, k: int) -> FloatArray:
    """1 where any of the first k is wanted, else 0; shape (n,)."""
    return _per_wanted(matches, matches.hits[:, :k].any(axis=1), np.ones(len(matches.wanted)))


def mrr_at(matches: Matches, k: int) -> FloatArray:
    """1 / place of the first wanted item, 0 when it is not among the first k; shape (n,)."""
    top = matches.hits[:, :k]
    first = np.where(top.any(axis=1), 1.0 / (top.argmax(axis=1) + 1), 0.0)
    return _per_wanted(matches, first, np.ones(len(first)))


def ndcg_at(matches: Matches, k: int) -> FloatArray:
    """Discounted gain of the first k over that of the best possible list; shape (n,).

    Source: Järvelin and Kekäläinen 2002, with binary gains and the discount 1 / log2(place + 1).
    """
    top = matches.hits[:, :k]
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[0.0], np.cumsum(discounts)])[np.minimum(matches.wanted, k)]
    return _per_wanted(matches, top @ discounts[: top.shape[1]], best)


def average_precision_at(matches: Matches, k: int) -> FloatArray:
    """Mean precision at the places of wanted items, over min(k, wanted); shape (n,)."""
    top = matches.hits[:, :k]
    precision = np.cumsum(top, axis=1) / np.arange(1, top.shape[1] + 1)
    return _per_wanted(matches, (precision * top).sum(axis=1), np.minimum(matches.wanted, k))


def coverage_terms(matches: Matches, k: int) -> FloatArray:
    """For coverage: the size of the catalogue, then a code for each of the first k items (-1: none); shape (n, 1 + k).

    The catalogue is what occurs here, suggested or wanted; a caller who knows more items writes a larger first column.
    """
    codes: dict[str, int] = {}
    terms = np.full((len(matches.items), 1 + k), -1.0)
    for number, row in enumerate(matches.items):
        held = [codes.setdefault(item, len(codes)) for item in row[:k]]
        terms[number, 1 : 1 + len(held)] = held
    known = set(codes).union(*matches.relevant, *(row[k:] for row in matches.items))
    terms[:, 0] = len(known)
    return terms


def combine_coverage(terms: FloatArray, weights: FloatArray) -> FloatArray:
    """Share of the catalogue that stands in any list of positive weight; shape (b,)."""
    values = np.empty(len(weights))
    for number, row in enumerate(weights):
        chosen = terms[row > 0]
        distinct = len(np.unique(chosen[:, 1:][chosen[:, 1:] >= 0]))
        values[number] = distinct / chosen[0, 0] if len(chosen) and chosen[0, 0] else np.nan
    return values


def _per_wanted(matches: Matches, above: object, below: object) -> FloatArray:
    out = np.full(len(matches.wanted), np.nan)
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    np.divide(above, below, out=out, where=matches.wanted > 0)
    return out
