"""Checks that follow from a good version: what its columns are like must hold of the next one."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import get_args

from penstock.core.project.types import CheckSection, ColumnType, Scalar, VolumeBounds
from penstock.datasets.profile.compare import is_counted
from penstock.datasets.types import ColumnProfile, Profile

_MANY_ROWS = 50  # below this a column without repetitions may have none by chance
_ROWS_A_VALUE = 10  # values that stand in fewer rows on average are no closed list
_FEW_MISSING = 0.05  # a share of missing values up to which some are foreseen
_SHRINKS_BY = 0.5
_RULES = ("type", "not_null", "unique", "allowed", "between", "volume")


def infer_checks(profile: Profile, declared: Sequence[CheckSection] = ()) -> list[CheckSection]:
    """Checks that the profiled rows meet, with room for rows to come.

    Types, missing values, keys and short lists of values are taken as they are; a range of numbers is widened by its
    own width on either side, and stays at zero where nothing is below it.

    Args:
        profile: of a version that is good.
        declared: checks there are already; a rule that one of them has for a column is left out.
    """
    found = []
    for column in profile.columns:
        kind = column.kind if column.kind in get_args(ColumnType) else None
        low_high = _range(column)
        found.append(
            CheckSection(
                column=column.name,
                type=kind,  # type: ignore[arg-type]  # it is one of them
                not_null=True if profile.rows and not column.nulls else None,
                unique=True if _is_key(column, profile.rows) else None,
                allowed=_values(column, profile.rows),
                between=None if low_high is None or _is_key(column, profile.rows) else low_high,
            )
        )
        found += _foresee_missing(column, profile.rows)
    found.append(CheckSection(volume=VolumeBounds(shrinks_by=_SHRINKS_BY), action="warn"))
    return [check for check in (_without(check, declared) for check in found) if check is not None]


def _is_key(column: ColumnProfile, rows: int) -> bool:
    return rows >= _MANY_ROWS and column.distinct == rows and column.kind in ("integer", "text")


def _values(column: ColumnProfile, rows: int) -> tuple[Scalar, ...] | None:
    if column.kind != "text" or not is_counted(column) or not column.top:
        return None
    if rows < _ROWS_A_VALUE * len(column.top):
        return None
    return tuple(sorted(str(top.value) for top in column.top))


def _range(column: ColumnProfile) -> tuple[Scalar, Scalar] | None:
    low, high = column.minimum, column.maximum
    is_number = column.kind in ("integer", "number") and isinstance(low, int | float) and isinstance(high, int | float)
    if not is_number or low == high or not math.isfinite(float(low or 0)) or not math.isfinite(float(high or 0)):
        return None
    start, end = float(low or 0), float(high or 0)
    width = end - start
    ends = (
        0.0 if start >= 0 else _round(start - width, math.floor),
        0.0 if end <= 0 else _round(end + width, math.ceil),
    )
    return (int(ends[0]), int(ends[1])) if column.kind == "integer" else ends


def _round(number: float, how: Callable[[float], int]) -> float:
    """A number with two digits that matter, rounded outwards."""
    scale = 10.0 ** (math.floor(math.log10(abs(number))) - 1) if number else 1.0
    return float(f"{how(number / scale) * scale:.6g}")


def _foresee_missing(column: ColumnProfile, rows: int) -> Iterator[CheckSection]:
    share = column.nulls / rows if rows else 0.0
    if 0 < share <= _FEW_MISSING:
        yield CheckSection(column=column.name, not_null=True, tolerance=math.ceil(2 * share * 100) / 100)


def _without(check: CheckSection, declared: Sequence[CheckSection]) -> CheckSection | None:
    """What is left of a check without the rules that are declared already; None when nothing is."""
    known = {
        rule
        for other in declared
        if other.column == check.column
        for rule in _RULES
        if getattr(other, rule) is not None
    }
    rules = {rule: getattr(check, rule) for rule in _RULES if rule not in known and getattr(check, rule) is not None}
    if not rules:
        return None
    return CheckSection(column=check.column, action=check.action, tolerance=check.tolerance, **rules)
