"""Faults of the data, looked for before anything else: they want the data mended, and no new model.

Each rule asks for more than chance (all of them together find something in data that did not change with a chance of
LEVEL at most) and for a tenth or a twentieth of the rows: less is drift, and no fault.
"""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping

import numpy as np
import polars as pl
from msgspec import Struct
from scipy import special

from penstock.monitoring.causes.reading import find_row_kind, read_labels, read_numbers, read_values
from penstock.monitoring.causes.types import DataFault
from penstock.monitoring.columns import ColumnKind
from penstock.monitoring.sketches import NAMED_ROWS
from penstock.stats.arrays import FloatArray
from penstock.stats.drift import count_test, ks_test
from penstock.stats.intervals import wilson_interval

LEVEL = 0.01  # chance that any fault is invented
RULES = 5
LEAST_ROWS = 30  # of either sample
LEAST_SHARE = 0.05  # of the rows, that a burst of missing or new values or of another unit takes
FAR = 0.3  # Kolmogorov-Smirnov or total variation distance of a column that was swapped or is in another unit
CLOSE = 0.05  # ... and of the same column once that is undone
UNITS = {
    "1,000 times as large": 1000.0,
    "100 times as large": 100.0,
    "10 times as large": 10.0,
    "60 times as large": 60.0,
    "3,600 times as large": 3600.0,
    "a thousandth": 1e-3,
    "a hundredth": 1e-2,
    "a tenth": 0.1,
    "a sixtieth": 1 / 60,
    "2.54 times as large (inches to centimetres)": 2.54,
    "1.609 times as large (miles to kilometres)": 1.609344,
    "2.205 times as large (kilograms to pounds)": 2.2046226,
    "0.4536 times as large (pounds to kilograms)": 0.45359237,
}


class _Pair(Struct, frozen=True):
    """One column of both samples."""

    name: str
    kind: ColumnKind
    reference: pl.Series
    now: pl.Series

    @property
    def is_number(self) -> bool:
        return self.kind.kind == "number"

    def numbers(self) -> tuple[FloatArray, FloatArray]:
        """The known values."""
        first, second = read_numbers(self.reference), read_numbers(self.now)
        return first[~np.isnan(first)], second[~np.isnan(second)]


def find_faults(
    reference: pl.DataFrame, now: pl.DataFrame, allowed: Mapping[str, Collection[str]] | None = None
) -> list[DataFault]:
    """What is wrong with the rows of now; a column is named once, by the first rule that fits.

    Args:
        reference: inputs of a time when all was well.
        now: inputs of the time in question.
        allowed: the values that columns may have, where the project says so.
    """
    if min(reference.height, now.height) < LEAST_ROWS:
        return []
    names = [name for name in reference.columns if name in now.columns]
    values = [(name, read_values(reference[name]), read_values(now[name])) for name in names]
    pairs = [_Pair(name, find_row_kind(*both), *both) for name, *both in values]
    odd = [pair for pair in pairs if pair.kind.kind == "type"]
    pairs = [pair for pair in pairs if pair.kind.kind != "type"]
    level = LEVEL / (RULES * max(len(pairs), 1))
    found = list(_find_swaps([pair for pair in pairs if pair.kind.kind in ("number", "category")], level))
    found += [
        DataFault(kind="changed_type", columns=[pair.name], share=1.0, detail=f"{pair.name} holds {pair.kind.note}")
        for pair in odd
    ]
    named = {name for fault in found for name in fault.columns}
    for pair in pairs:
        if pair.name not in named:
            rules = (_find_constant, _find_unit, _find_nulls)
            fault = next((held for rule in rules if (held := rule(pair, level)) is not None), None)
            fault = fault or _find_new(pair, level, (allowed or {}).get(pair.name))
            found += [fault] if fault else []
    return found


def _find_swaps(pairs: list[_Pair], level: float) -> Iterator[DataFault]:
    far = [pair for pair in pairs if _distance(pair.reference, pair.now, pair.is_number) >= FAR]
    for one, other in itertools.combinations(far, 2):
        if one.is_number != other.is_number:
            continue
        crossed = ((one.reference, other.now), (other.reference, one.now))
        if all(_fits(first, second, one.is_number, level) for first, second in crossed):
            detail = f"{one.name} holds what {other.name} held, and the other way round"
            yield DataFault(kind="swapped_columns", columns=[one.name, other.name], share=1.0, detail=detail)


def _find_constant(pair: _Pair, level: float) -> DataFault | None:
    held = pair.now.drop_nulls()
    if len(held) < LEAST_ROWS or held.n_unique() != 1 or pair.reference.drop_nulls().n_unique() < 2:
        return None
    value, before = held[0], pair.reference.drop_nulls()
    share = wilson_interval(int((before == value).sum()), len(before), confidence=1 - level).high
    if len(held) * math.log(share) > math.log(level):
        return None
    detail = f"{pair.name} is {value} in every row; it had {before.n_unique():,} values"
    return DataFault(kind="constant_column", columns=[pair.name], share=1.0, detail=detail)


def _find_unit(pair: _Pair, level: float) -> DataFault | None:
    """All values, or those of some rows that lie outside of all that was, are the old ones in another unit."""
    if not pair.is_number:
        return None
    before, now = pair.numbers()
    if min(len(before), len(now)) < LEAST_ROWS:
        return None
    low, high = np.quantile(before, [0.001, 0.999])
    outside = now[(now < low) | (now > high)]
    far = ks_test(before, now)
    for part, share in ((now, 1.0), (outside, len(outside) / len(now))):
        is_all = share == 1.0
        if is_all and (far.statistic < FAR or far.p_value > level):
            continue
        if not is_all and (share < LEAST_SHARE or len(part) < LEAST_ROWS / 2):
            continue
        best = min(UNITS, key=lambda unit: ks_test(before, part / UNITS[unit]).statistic)
        test = ks_test(before, part / UNITS[best])
        if test.statistic <= CLOSE or test.p_value >= level:
            told = (
                f"{pair.name} is {best} in {'every row' if is_all else f'{share:.0%} of the rows'}, as in another unit"
            )
            return DataFault(kind="unit_change", columns=[pair.name], share=share, detail=told)
    return None


def _find_nulls(pair: _Pair, level: float) -> DataFault | None:
    before, now = (_missing(column) for column in (pair.reference, pair.now))
    if now.mean() - before.mean() < LEAST_SHARE:
        return None
    counts = [{True: int(held.sum()), False: int((~held).sum())} for held in (before, now)]
    if count_test(counts[0], counts[1]).p_value > level:
        return None
    detail = f"{pair.name} is missing in {now.mean():.0%} of the rows; it was in {before.mean():.1%}"
    return DataFault(kind="null_burst", columns=[pair.name], share=float(now.mean()), detail=detail)


def _find_new(pair: _Pair, level: float, allowed: Collection[str] | None) -> DataFault | None:
    """Values that the reference never had, more often than its rarest ones let expect (Good 1953)."""
    if pair.kind.kind != "category":
        return None
    before, now = (read_labels(column, pair.kind).drop_nulls() for column in (pair.reference, pair.now))
    if not len(before) or not len(now):
        return None
    new = now.filter(~now.is_in(before.unique().implode()))
    once = int((before.value_counts(name="rows")["rows"] == 1).sum())
    expected = wilson_interval(once, len(before), confidence=1 - level).high
    share = len(new) / len(now)
    if share < LEAST_SHARE or special.bdtrc(len(new) - 1, len(now), expected) > level:
        return None
    counts = new.value_counts(sort=True, name="rows")
    names = counts[new.name].to_list()
    told = _tell_names(counts.filter(pl.col("rows") >= NAMED_ROWS)[new.name].to_list()[:3], len(names))
    known = {_spell(label) for label in before.unique()}
    if all(_spell(name) in known for name in names):
        why, is_certain = "known values spelled otherwise", True
    elif allowed is not None and not set(names) <= set(allowed):
        why, is_certain = "which the project does not allow", True
    else:
        why, is_certain = "which it never did: a mistake at its source, or something new", False
    detail = f"{pair.name} holds {told} in {share:.0%} of the rows, {why}"
    return DataFault(kind="new_category", columns=[pair.name], share=share, detail=detail, certain=is_certain)


def _tell_names(named: list[str], count: int) -> str:
    """The frequent ones of some values by name, and how many others there are: those may be somebody's own."""
    others = count - len(named)
    if not named:
        return f"{others:,} new values" if others > 1 else "a new value"
    return ", ".join(map(repr, named)) + (f" and {others:,} more" if others else "")


def _spell(label: str) -> str:
    """A label without what people leave out or write otherwise."""
    return "".join(letter for letter in label.casefold() if letter.isalnum())


def _missing(column: pl.Series) -> np.ndarray:
    empty = column.is_null()
    if column.dtype == pl.String:
        empty = empty | (column == "").fill_null(False)
    elif column.dtype.is_float():
        empty = empty | column.is_nan().fill_null(False)
    return empty.to_numpy()


def _distance(first: pl.Series, second: pl.Series, is_number: bool) -> float:
    """Kolmogorov-Smirnov distance of numbers, total variation of categories; 0 where one sample is empty."""
    if is_number:
        samples = [held[~np.isnan(held)] for held in (read_numbers(first), read_numbers(second))]
        return ks_test(samples[0], samples[1]).statistic if len(samples[0]) and len(samples[1]) else 0.0
    shares = [_shares(held) for held in (first, second)]
    return sum(abs(shares[0].get(name, 0.0) - shares[1].get(name, 0.0)) for name in {*shares[0], *shares[1]}) / 2


def _fits(first: pl.Series, second: pl.Series, is_number: bool, level: float) -> bool:
    if not is_number:
        counts = [dict(held.drop_nulls().cast(pl.String).value_counts().iter_rows()) for held in (first, second)]
        if not counts[0] or not counts[1]:
            return False
        return _distance(first, second, is_number) <= CLOSE or count_test(counts[0], counts[1]).p_value >= level
    samples = [held[~np.isnan(held)] for held in (read_numbers(first), read_numbers(second))]
    if not len(samples[0]) or not len(samples[1]):
        return False
    test = ks_test(samples[0], samples[1])
    return test.statistic <= CLOSE or test.p_value >= level


def _shares(column: pl.Series) -> dict[str, float]:
    counts = column.drop_nulls().cast(pl.String).value_counts(normalize=True)
    return dict(counts.iter_rows())
