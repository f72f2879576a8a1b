"""Columns of two samples cut into the same bins: categories as they are, numbers at quantiles of the reference."""

import itertools

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.monitoring.causes.reading import find_row_kind, read_labels, read_numbers, read_values
from penstock.stats.arrays import FloatArray, IntArray

QUANTILES = 4
MOST_CATEGORIES = 20  # of a column, the most frequent of the reference; all others are one
OTHER, MISSING = "another value", "missing"


class CutColumn(Struct, frozen=True):
    """One column in bins.

    Attributes:
        name: of the column.
        labels: what each bin is, in plain words.
        reference: bin of each reference row.
        now: bin of each row of now.
        numbers: the values themselves of both samples, NaN where missing; None of categories.
    """

    name: str
    labels: list[str]
    reference: IntArray
    now: IntArray
    numbers: tuple[FloatArray, FloatArray] | None = None

    @property
    def features(self) -> tuple[FloatArray, FloatArray]:
        """What a learner reads of both samples: numbers, or the bins as codes of categories."""
        return self.numbers or (self.reference.astype(np.float64), self.now.astype(np.float64))


def cut_columns(reference: pl.DataFrame, now: pl.DataFrame, *, quantiles: int = QUANTILES) -> list[CutColumn]:
    """All columns that both samples have and that can be compared."""
    shared = [name for name in reference.columns if name in now.columns]
    found = [_cut_column(read_values(reference[name]), read_values(now[name]), quantiles) for name in shared]
    return [column for column in found if column is not None]


def _cut_column(reference: pl.Series, now: pl.Series, quantiles: int) -> CutColumn | None:
    kind = find_row_kind(reference, now)
    if kind.kind in ("none", "type"):
        return None
    if kind.kind == "number":
        return _cut_numbers(reference, now, quantiles)
    first, second = read_labels(reference, kind), read_labels(now, kind)
    counts = first.drop_nulls().value_counts(sort=True, name="rows")
    ranked = counts.sort("rows", first.name, descending=[True, False])[first.name].to_list()[:MOST_CATEGORIES]
    codes = {label: code for code, label in enumerate(ranked)}
    labels = [f"{reference.name} = {label}" for label in ranked]
    labels += [f"{reference.name} has {OTHER}", f"{reference.name} is {MISSING}"]
    both = [
        np.array([len(ranked) + 1 if label is None else codes.get(label, len(ranked)) for label in held], np.int64)
        for held in (first, second)
    ]
    return CutColumn(reference.name, labels, both[0], both[1])


def _cut_numbers(reference: pl.Series, now: pl.Series, quantiles: int) -> CutColumn:
    first, second = read_numbers(reference), read_numbers(now)
    edges = np.unique(np.nanquantile(first, np.arange(1, quantiles) / quantiles))
    ends = [f"{edge:.4g}" for edge in edges]
    labels = [f"{reference.name} <= {ends[0]}"]
    labels += [f"{low} < {reference.name} <= {high}" for low, high in itertools.pairwise(ends)]
    labels += [f"{reference.name} > {ends[-1]}", f"{reference.name} is {MISSING}"]
    both = [
        np.where(np.isnan(held), len(edges) + 1, np.searchsorted(edges, held, "left")).astype(np.int64)
        for held in (first, second)
    ]
    return CutColumn(reference.name, labels, both[0], both[1], (first, second))
