"""Clauses of a search about numbers and indexed texts as conditions of a query, on SQLite and PostgreSQL alike."""

import math
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, and_, literal, not_, or_, type_coerce

from penstock.core.filters import Comparator
from penstock.storage.matching import compare_text
from penstock.tracking.tables import NAN, ExactFloat, sorted_part

Value = str | int | float | tuple[str, ...] | None
_LARGEST = 2**63 - 1
_SORTED = 200  # characters of a text that its index knows; see `sorted_part`


def compare_sorted(column: ColumnElement[str], comparator: Comparator, value: Value) -> ColumnElement[bool]:
    """As `compare_text`, for a column whose beginning is indexed."""
    compared = compare_text(column, comparator, value)
    if comparator is Comparator.EQUAL:
        return and_(sorted_part(column) == str(value)[:_SORTED], compared)
    return compared


def compare_float(column: ColumnElement[float], comparator: Comparator, value: Value) -> ColumnElement[bool]:
    """A number that is kept as `ExactFloat`; NaN differs from every number and is neither less nor greater."""
    number = _to_float(value)
    low, high = (literal(each, ExactFloat) for each in ((-0.0, 0.0) if number == 0 else (number, number)))
    is_number = column != literal(NAN, ExactFloat)
    match comparator:
        case Comparator.EQUAL:
            return or_(column == low, column == high)
        case Comparator.NOT_EQUAL:
            return and_(column != low, column != high)
        case Comparator.LESS:
            return column < low
        case Comparator.LESS_OR_EQUAL:
            return column <= high
        case Comparator.GREATER:
            return and_(column > high, is_number)
        case Comparator.GREATER_OR_EQUAL:
            return and_(column >= low, is_number)
    raise ValueError(f"{comparator} compares no numbers")


def compare_integer(
    column: ColumnElement[Any], comparator: Comparator, value: Value, *, unit: int = 1
) -> ColumnElement[bool]:
    """A whole number of units, such as milliseconds kept as microseconds; what is left of a unit does not count."""
    kept = type_coerce(column, BigInteger)
    number = value if isinstance(value, int) else _to_float(value)
    begin, behind = _clamp(math.ceil(number) * unit), _clamp((math.floor(number) + 1) * unit)
    is_within = and_(kept >= begin, kept < behind)  # empty for a number between two whole ones
    match comparator:
        case Comparator.EQUAL:
            return is_within
        case Comparator.NOT_EQUAL:
            return not_(is_within)
        case Comparator.LESS:
            return kept < begin
        case Comparator.LESS_OR_EQUAL:
            return kept < behind
        case Comparator.GREATER:
            return kept >= behind
        case Comparator.GREATER_OR_EQUAL:
            return kept >= begin
    raise ValueError(f"{comparator} compares no numbers")


def _to_float(value: Value) -> float:
    if not isinstance(value, (int, float)):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _clamp(number: int) -> int:
    return max(-_LARGEST, min(number, _LARGEST))
