"""The test of one column of a window against the reference, from the sketches of both."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from penstock.monitoring.columns import ColumnKind, find_kind, find_parts
from penstock.monitoring.list_parts import ListPart
from penstock.monitoring.sketches import NAMED_ROWS, ColumnSketch
from penstock.monitoring.types import ColumnDrift
from penstock.stats import drift
from penstock.stats.drift import DriftTest
from penstock.stats.sketches.frequencies import BUCKETS, Frequencies

BINS = 10  # of the population stability index of numbers
SKETCH_CHANCE = 1e-13  # that a rank of a sketch is wrong by more than is allowed for; it is added to the p-value
MISSING = "(missing)"


def compare_column(name: str, reference: ColumnSketch | None, current: ColumnSketch | None) -> ColumnDrift:
    """Whether one column moved, as a p-value; `none` where it cannot be tested."""
    if reference is None or current is None:
        where = "reference" if reference is None else "window"
        return ColumnDrift(column=name, test="none", note=f"the {where} has no such column")
    parts = find_parts(reference, current)
    return _compare_parts(name, parts) if parts else _compare_values(name, reference, current)


def _compare_parts(name: str, parts: Mapping[ListPart, tuple[ColumnSketch, ColumnSketch]]) -> ColumnDrift:
    """Lists: several questions about one column, of which the answer that is least likely by chance counts."""
    found = [msgspec.structs.replace(_compare_values(name, *both), part=part) for part, both in parts.items()]
    tested = [one for one in found if one.p_value is not None]
    if not tested:
        return msgspec.structs.replace(found[0], part=None)
    worst = min(tested, key=lambda one: one.p_value or 0.0)
    note = "; ".join(filter(None, (f"the {worst.part} of each list", worst.note)))
    p_value = min((worst.p_value or 0.0) * len(tested), 1.0)
    return msgspec.structs.replace(worst, p_value=p_value, note=note)


def _compare_values(name: str, reference: ColumnSketch, current: ColumnSketch) -> ColumnDrift:
    kind = find_kind(reference, current)
    if kind.kind == "none":
        return ColumnDrift(column=name, test="none", rows=current.rows, note=kind.note)
    if kind.kind == "type":
        return ColumnDrift(
            column=name, test="type", distance=1.0, p_value=0.0, new_share=1.0, rows=current.rows, note=kind.note
        )
    if kind.kind == "number":
        return _compare_numbers(name, reference, current)
    return _compare_labels(name, reference, current, kind)


def _compare_numbers(name: str, reference: ColumnSketch, current: ColumnSketch) -> ColumnDrift:
    gone = [column.missing / column.rows for column in (reference, current)]
    note = f"{gone[1]:.1%} missing, {gone[0]:.1%} in the reference" if any(gone) else ""
    if not current.held:
        test = _test_missing(reference, current)
        return ColumnDrift(
            column=name, test="chi2", statistic=test.statistic, distance=gone[1] - gone[0], p_value=test.p_value,
            rows=current.rows, note=note,
        )  # fmt: skip
    distance, unknown = ks_distance(reference, current)
    sizes = [max(round(column.held / column.effect), 1) for column in (reference, current)]
    test = drift.ks_from_distance(max(distance - unknown, 0.0), sizes[0], sizes[1])
    p_value = min(test.p_value + (SKETCH_CHANCE if unknown else 0.0), 1.0)
    if any(gone):  # two questions about one column: its values, and how many are missing
        p_value = min(1.0, 2 * min(p_value, _test_missing(reference, current).p_value))
    return ColumnDrift(
        column=name, test="ks", statistic=test.statistic, distance=distance, p_value=p_value, rows=current.rows,
        note=note,
    )  # fmt: skip


def ks_distance(reference: ColumnSketch, current: ColumnSketch) -> tuple[float, float]:
    """The largest gap of the two distributions, and by how much the sketches may be wrong about it."""
    numbers = (reference.numbers, current.numbers)
    places = np.unique(np.concatenate([sketch.weigh()[0] for sketch in numbers]))
    shares = [sketch.shares_up_to(places) for sketch in numbers]
    unknown = sum(sketch.rank_error(SKETCH_CHANCE / 2) for sketch in numbers)
    return float(np.abs(shares[0] - shares[1]).max()), unknown


def _test_missing(reference: ColumnSketch, current: ColumnSketch) -> DriftTest:
    counts = [{True: column.missing, False: column.held} for column in (reference, current)]
    return drift.count_test(_effective(counts[0], reference), _effective(counts[1], current))


def _compare_labels(name: str, reference: ColumnSketch, current: ColumnSketch, kind: ColumnKind) -> ColumnDrift:
    counts = _count(reference, current, kind)
    if counts is None:
        return ColumnDrift(column=name, test="none", rows=current.rows, note="first words of too many different texts")
    test = drift.count_test(_effective(counts.reference, reference), _effective(counts.current, current))
    return ColumnDrift(
        column=name, test="chi2", statistic=test.statistic, distance=counts.distance, p_value=test.p_value,
        new_share=counts.new_share, rows=current.rows, note=_describe(kind, counts),
    )  # fmt: skip


class _Counts(Struct, frozen=True):
    """Rows by category: by label where both sides name all of them, by the number of a bucket where not."""

    reference: Mapping[Any, int]
    current: Mapping[Any, int]
    is_exact: bool

    @property
    def distance(self) -> float:
        rows = [max(sum(counts.values()), 1) for counts in (self.reference, self.current)]
        keys = self.reference.keys() | self.current.keys()
        shares = (self.reference.get(key, 0) / rows[0] - self.current.get(key, 0) / rows[1] for key in keys)
        return min(math.fsum(map(abs, shares)) / 2, 1.0)  # exact, as keys come in any order

    @property
    def new(self) -> list[str]:
        return sorted(key for key in self.current if key not in self.reference) if self.is_exact else []

    @property
    def new_share(self) -> float:
        return sum(self.current[key] for key in self.new) / max(sum(self.current.values()), 1)


def _count(reference: ColumnSketch, current: ColumnSketch, kind: ColumnKind) -> _Counts | None:
    labels = [each.first_labels() if kind.kind == "first" else each.labels for each in (reference, current)]
    if labels[0] is None or labels[1] is None:
        return None
    is_exact = labels[0].is_exact and labels[1].is_exact
    return _Counts(_by_category(reference, labels[0], is_exact), _by_category(current, labels[1], is_exact), is_exact)


def _by_category(column: ColumnSketch, labels: Frequencies, is_exact: bool) -> dict[Any, int]:
    counts: dict[Any, int] = dict(labels.counts)
    if not is_exact:
        buckets = labels.hashed().buckets
        counts = {} if buckets is None else dict(enumerate(buckets.tolist()))
    if column.rows > labels.rows:
        counts[MISSING] = column.rows - labels.rows
    return counts


def _effective(counts: Mapping[Any, int], column: ColumnSketch) -> dict[Any, float]:
    """Counts of independent rows, so fractions."""
    return {key: count / column.effect for key, count in counts.items()}


def _describe(kind: ColumnKind, counts: _Counts) -> str:
    parts = [kind.note] if kind.note else []
    if not counts.is_exact:
        parts.append(f"compared in {BUCKETS} groups by hash, as not all values are named")
    if new := counts.new:
        frequent = [text for text in new if counts.current[text] >= NAMED_ROWS]  # what is rare may be somebody's own
        named = ", ".join(frequent[:3]) + (" ..." if len(new) > len(frequent[:3]) else "") if frequent else ""
        many = f"{len(new):,} value{'s' * (len(new) > 1)}"
        parts.append(f"{counts.new_share:.1%} of the rows hold {many} the reference lacks" + f": {named}" * bool(named))
    return "; ".join(parts)


def measure_stability(found: ColumnDrift, reference: ColumnSketch, current: ColumnSketch) -> ColumnDrift:
    """The same with the population stability index and its critical value at the level of the test."""
    if found.part is not None:
        reference, current = find_parts(reference, current)[found.part]
    if found.level is None or found.test == "type" or not current.held:
        return found
    is_number = found.test == "ks"
    counts = _bin(reference, current) if is_number else _count(reference, current, find_kind(reference, current))
    if counts is None:
        return found
    effective = _effective(counts.reference, reference), _effective(counts.current, current)
    test = drift.psi_count_test(*effective, alpha=min(max(found.level, SKETCH_CHANCE), 0.5))
    return msgspec.structs.replace(found, psi=test.statistic, psi_critical=test.critical_value)


def _bin(reference: ColumnSketch, current: ColumnSketch) -> _Counts:
    """Rows in bins of equal frequency, cut on the reference; equal values never fall into two of them."""
    cuts, times = np.unique(reference.numbers.quantiles(np.arange(1, BINS) / BINS), return_counts=True)
    tied = cuts[times > 1]  # a value that holds more than a bin's rows has a bin of its own
    edges = np.concatenate([np.union1d(cuts, np.nextafter(tied, -np.inf)), [np.inf]])
    shares = [np.diff(each.numbers.shares_up_to(edges), prepend=0.0) for each in (reference, current)]
    rows = [np.rint(each * column.held).astype(int) for each, column in zip(shares, (reference, current), strict=True)]
    return _Counts(dict(enumerate(rows[0].tolist())), dict(enumerate(rows[1].tolist())), is_exact=True)
