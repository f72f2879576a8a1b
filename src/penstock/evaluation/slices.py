"""Slices: the rows that share a value of a declared column, and whether the model is worse there."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.evaluation.measuring import Precision, measure
from penstock.evaluation.types import SliceResult
from penstock.stats.arrays import BoolArray, FloatArray, IntArray
from penstock.stats.groups import compare_group
from penstock.stats.metrics import Metric, find_metric, scored_rows
from penstock.stats.multiplicity import holm

MOST_VALUES = 20  # of a column; the rest goes together
MOST_NUMBERS = 12  # distinct numbers that are still taken as they are; more are cut at the quartiles
FEW_ROWS = 20  # inside or outside; fewer are not tested
LEVEL = 0.05


class Slice(Struct, frozen=True):
    """Some rows of the test data."""

    column: str
    value: str
    inside: BoolArray

    @property
    def name(self) -> str:
        """How gates refer to it."""
        return f"{self.column}={self.value}"


def cut_slices(frame: pl.DataFrame, columns: Sequence[str]) -> list[Slice]:
    """The slices of each column: one for each value, or one for each quarter of its numbers.

    Raises:
        InvalidInputError: there is no such column, or it holds lists.
    """
    return [part for column in dict.fromkeys(columns) for part in _cut(frame, column)]


def measure_slices(
    slices: Sequence[Slice],
    terms: dict[str, FloatArray],
    *,
    primary: str,
    metrics: Sequence[str] = (),
    clusters: IntArray | None = None,
    precision: Precision,
) -> tuple[SliceResult, ...]:
    """Each slice's metrics, and whether it is significantly worse than the rest by the primary one.

    Args:
        slices: rows, which may overlap.
        terms: by metric, of all rows, shape (n, d).
        primary: the metric that is tested.
        metrics: others to measure.
        clusters: cluster of each row as a code.
        precision: of the intervals.
    """
    results = []
    for part in slices:
        held = None if clusters is None else clusters[part.inside]
        wanted = [name for name in dict.fromkeys([primary, *metrics]) if name in terms]
        values = [measure(find_metric(name), terms[name][part.inside], held, precision) for name in wanted]
        n = int(part.inside.sum())
        results.append(SliceResult(name=part.name, column=part.column, value=part.value, n=n, metrics=tuple(values)))
    if primary in terms:
        metric = find_metric(primary)
        results = [
            _tested(result, metric, terms[primary], part.inside, clusters, precision)
            for result, part in zip(results, slices, strict=True)
        ]
    return _corrected(results)


def _tested(
    result: SliceResult,
    metric: Metric,
    terms: FloatArray,
    inside: BoolArray,
    clusters: IntArray | None,
    precision: Precision,
) -> SliceResult:
    known = scored_rows(terms)
    terms, inside, held = terms[known], inside[known], None if clusters is None else clusters[known]
    if min(inside.sum(), (~inside).sum()) < FEW_ROWS:
        return result
    found = compare_group(metric, terms, inside, clusters=held, replicates=precision.replicates, seed=precision.seed)
    if np.isnan(found.difference):
        return result
    return msgspec.structs.replace(result, rest=found.outside, difference=found.difference, p_value=found.p_value)


def _corrected(results: list[SliceResult]) -> tuple[SliceResult, ...]:
    adjusted = iter(holm([result.p_value for result in results if result.p_value is not None]).tolist())
    final = []
    for result in results:
        if result.p_value is not None:
            p_value = next(adjusted)
            result = msgspec.structs.replace(result, p_value=p_value, is_worse=p_value <= LEVEL)
        final.append(result)
    return tuple(final)


def _cut(frame: pl.DataFrame, column: str) -> Iterator[Slice]:
    if column not in frame.columns:
        hint = nearest_hint(column, frame.columns)
        raise InvalidInputError(f"the test data have no column {column!r} to slice by", hint=hint, field="slices")
    values = frame[column]
    if values.dtype.is_nested():
        raise InvalidInputError(f"{column!r} holds {values.dtype} and cannot be sliced by", field="slices")
    if values.dtype.is_numeric() and values.n_unique() > MOST_NUMBERS:
        values = _quarters(values)
    texts = values.cast(pl.String).fill_null("(missing)")
    counts = texts.alias("value").value_counts(name="rows").sort("rows", "value", descending=[True, False])
    common = counts["value"].to_list()
    kept = common if len(common) <= MOST_VALUES else common[: MOST_VALUES - 1]
    for text in kept:
        yield Slice(column, text, (texts == text).to_numpy())
    if len(common) > len(kept):
        yield Slice(column, "(other)", (~texts.is_in(kept)).to_numpy())


def _quarters(values: pl.Series) -> pl.Series:
    numbers = values.cast(pl.Float64).fill_nan(None)
    edges = np.unique([numbers.quantile(share, "nearest") for share in (0.25, 0.5, 0.75)])
    names = [
        f"below {edges[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in pairwise(edges)),
        f"{edges[-1]:g} and above",
    ]
    places = np.searchsorted(edges, numbers.fill_null(0.0).to_numpy(), "right")
    missing = numbers.is_null().to_list()
    return pl.Series(values.name, [None if gone else names[p] for p, gone in zip(places, missing, strict=True)])
