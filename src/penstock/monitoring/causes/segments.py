"""Which rows lose more than such rows did before: a search on one half of them, held against the other half."""

import itertools
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from penstock.monitoring.causes.columns import CutColumn
from penstock.monitoring.causes.types import CauseSegment
from penstock.stats.arrays import BoolArray, FloatArray
from penstock.stats.multiplicity import holm
from penstock.stats.shift import contrast

LEAST_ROWS = 20  # of a segment, in each half
CANDIDATES = 5  # held against the other half
CROSSED = 8  # segments of one column that are tried in pairs
LEVEL = 0.01  # chance that any segment is invented


class _Candidate(Struct, frozen=True):
    name: str
    inside: BoolArray
    columns: tuple[str, ...]
    strength: float  # standard errors above the other rows, in the first half


def find_segments(columns: Sequence[CutColumn], surplus: FloatArray, *, seed: int = 0) -> list[CauseSegment]:
    """The segments whose loss has risen beyond that of the other rows; none are invented with a chance of 1 - LEVEL.

    Args:
        columns: of the rows of now.
        surplus: loss of each row beyond what such rows lost before (`stats.shift`).
        seed: which rows are in which half.
    """
    first = np.random.default_rng(seed).permutation(len(surplus)) % 2 == 0
    singles = [
        _try(column.labels[code], column.now == code, (column.name,), surplus, first)
        for column in columns
        for code in range(len(column.labels))
    ]
    ranked = sorted((held for held in singles if held is not None), key=lambda held: -held.strength)
    found = [*ranked, *_cross(ranked[:CROSSED], surplus, first)]
    chosen = sorted(found, key=lambda held: -held.strength)[:CANDIDATES]
    chosen = [held for held in chosen if held.strength > 0]
    if not chosen:
        return []
    tested = [contrast(surplus[~first], held.inside[~first]) for held in chosen]
    adjusted = holm([p_value for _, _, p_value in tested]).tolist()
    return [
        CauseSegment(
            segment=held.name,
            rows=int(held.inside.sum()),
            share=float(held.inside.mean()),
            rise=rise,
            error=error,
            p_value=p_value,
        )
        for held, (rise, error, _), p_value in zip(chosen, tested, adjusted, strict=True)
        if p_value <= LEVEL
    ]


def _cross(best: Sequence[_Candidate], surplus: FloatArray, first: BoolArray) -> list[_Candidate]:
    """Pairs that are stronger than either of their parts."""
    found = []
    for one, other in itertools.combinations(best, 2):
        if one.columns == other.columns:
            continue
        both = one.inside & other.inside
        pair = _try(f"{one.name} and {other.name}", both, one.columns + other.columns, surplus, first)
        if pair is not None and pair.strength > max(one.strength, other.strength):
            found.append(pair)
    return found


def _try(
    name: str, inside: BoolArray, columns: tuple[str, ...], surplus: FloatArray, first: BoolArray
) -> _Candidate | None:
    sizes = [int((inside & half).sum()) for half in (first, ~first)]
    if min(sizes) < LEAST_ROWS or sizes[0] > int(first.sum()) - LEAST_ROWS:
        return None
    rise, error, _ = contrast(surplus[first], inside[first])
    return _Candidate(name, inside, columns, rise / error if error > 0 else 0.0)
