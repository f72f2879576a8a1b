"""Have the inputs of a window moved away from the reference of the live model? Tests with a level, and no thresholds.

Numbers are compared by the Kolmogorov-Smirnov test, categories by the chi-square test with rare ones pooled; of lists
such as the items a customer saw last, the newest one counts, as the others were in the rows before. Rows of one
customer are alike, so both tests work with the *effective* number of rows: the rows divided by the design effect of
their keys (Rao and Scott 1981, first-order correction), for the reference and the window each by itself.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from penstock.monitoring.columns import ColumnKind, find_kind, read_labels, read_numbers
from penstock.monitoring.types import ColumnDrift
from penstock.stats import drift, multiplicity
from penstock.stats.arrays import FloatArray, IntArray, cluster_codes

BINS = 10  # of numbers, to measure how alike the rows of a key are
MISSING = "(missing)"


class Sample(Struct, frozen=True):
    """Input rows, and which of them belong together."""

    rows: pl.DataFrame
    keys: Sequence[str] | None = None  # one per row; None where every row stands for itself


def compare_inputs(reference: Sample, current: Sample, columns: Sequence[str], *, level: float) -> list[ColumnDrift]:
    """Each column of a window against the reference; all of them together alarm falsely with a chance of `level`.

    Args:
        reference: rows from when the model was trained.
        current: rows of the window.
        columns: names; one that a sample lacks, or that cannot be tested, is listed with the reason.
        level: shared between the columns by Holm's procedure.
    """
    codes = (_codes(reference), _codes(current))
    results = [_compare_column(name, reference, current, codes) for name in columns]
    tested = [number for number, result in enumerate(results) if result.p_value is not None]
    if not tested:
        return results
    raw = [results[number].p_value or 0.0 for number in tested]
    for number, adjusted, p_value in zip(tested, multiplicity.holm(raw).tolist(), raw, strict=True):
        # Holm holds p * (a factor of at least 1) against the level, which is p against level / factor.
        share = level * p_value / adjusted if adjusted > 0 else level / len(tested)
        results[number] = msgspec.structs.replace(results[number], level=share, drifted=adjusted <= level)
    return results


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


def _compare_column(
    name: str, reference: Sample, current: Sample, codes: tuple[IntArray | None, IntArray | None]
) -> ColumnDrift:
    rows = current.rows.height
    lacking = [where for where, sample in (("reference", reference), ("window", current)) if name not in sample.rows]
    if lacking:
        return ColumnDrift(column=name, test="none", rows=rows, note=f"the {lacking[0]} has no such column")
    first, second = reference.rows[name], current.rows[name]
    kind = find_kind(first, second)
    if kind.kind == "none":
        return ColumnDrift(column=name, test="none", rows=rows, note=kind.note)
    if kind.kind == "number":
        return _compare_numbers(name, read_numbers(first), read_numbers(second), codes)
    return _compare_labels(name, read_labels(first, kind), read_labels(second, kind), codes, kind)


def _compare_labels(
    name: str, first: pl.Series, second: pl.Series, codes: tuple[IntArray | None, IntArray | None], kind: ColumnKind
) -> ColumnDrift:
    known = {label: code for code, label in enumerate(first.fill_null(MISSING).unique(maintain_order=True))}
    new = [label for label in second.fill_null(MISSING).unique(maintain_order=True) if label not in known]
    everything = known | {label: code for code, label in enumerate(new, start=len(known))}
    samples = [_encode(column, everything) for column in (first, second)]
    effects = [design_effect(labels, groups) for labels, groups in zip(samples, codes, strict=True)]
    counts = [np.bincount(labels, minlength=len(everything)) for labels in samples]
    scaled = [dict(enumerate(count / effect)) for count, effect in zip(counts, effects, strict=True)]
    test = drift.count_test(scaled[0], scaled[1])  # effective counts, so fractions
    shares = [count / count.sum() for count in counts]
    new_share = float(shares[1][len(known) :].sum())
    return ColumnDrift(
        column=name,
        test="chi2",
        statistic=test.statistic,
        distance=float(np.abs(shares[0] - shares[1]).sum() / 2),
        p_value=test.p_value,
        new_share=new_share,
        rows=len(second),
        note=_describe_labels(kind, new, new_share),
    )


def _compare_numbers(
    name: str, first: FloatArray, second: FloatArray, codes: tuple[IntArray | None, IntArray | None]
) -> ColumnDrift:
    known = [column[~np.isnan(column)] for column in (first, second)]
    if not len(known[0]) or not len(known[1]):
        return ColumnDrift(column=name, test="none", rows=len(second), note="one of the two samples holds no number")
    edges = np.unique(np.quantile(known[0], np.arange(1, BINS) / BINS))
    binned = [np.searchsorted(edges, column, "left") for column in (first, second)]  # NaN falls into the last bin
    effects = [design_effect(bins, groups) for bins, groups in zip(binned, codes, strict=True)]
    raw = drift.ks_test(*known)
    sizes = [max(round(len(column) / effect), 1) for column, effect in zip(known, effects, strict=True)]
    test = drift.ks_from_distance(raw.statistic, sizes[0], sizes[1])
    p_value, note = test.p_value, ""
    missing = [float(np.isnan(column).mean()) for column in (first, second)]
    if any(missing):  # two questions about one column: its values, and how many are missing
        p_value = min(1.0, 2 * min(p_value, _missing_p_value(first, second, effects)))
        note = f"{missing[1]:.1%} missing, {missing[0]:.1%} in the reference"
    return ColumnDrift(
        column=name,
        test="ks",
        statistic=test.statistic,
        distance=raw.statistic,
        p_value=p_value,
        rows=len(second),
        note=note,
    )


def _missing_p_value(first: FloatArray, second: FloatArray, effects: list[float]) -> float:
    counts = [
        {True: max(round(float(np.isnan(column).sum()) / effect), 0), False: round(len(column) / effect)}
        for column, effect in zip((first, second), effects, strict=True)
    ]
    return drift.count_test(counts[0], counts[1]).p_value


def _encode(column: pl.Series, codes: dict[str, int]) -> IntArray:
    return column.fill_null(MISSING).replace_strict(codes, return_dtype=pl.Int64).to_numpy()


def _codes(sample: Sample) -> IntArray | None:
    return None if sample.keys is None else cluster_codes(list(sample.keys))


def _describe_labels(kind: ColumnKind, new: list[str], new_share: float) -> str:
    parts = [kind.note] if kind.note else []
    if new:
        named = ", ".join(new[:3]) + (" ..." if len(new) > 3 else "")
        parts.append(f"{new_share:.1%} of the rows hold one of {len(new)} values the reference lacks: {named}")
    return "; ".join(parts)
