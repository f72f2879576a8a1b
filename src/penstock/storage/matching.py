"""Comparisons of texts and numbers that mean the same in every database."""

import operator
from collections.abc import Callable
from typing import Any

from sqlalchemy import Boolean, ColumnElement, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from penstock.core.filters import Comparator

_COMPARISONS: dict[Comparator, Callable[[Any, Any], ColumnElement[bool]]] = {
    Comparator.EQUAL: operator.eq,
    Comparator.NOT_EQUAL: operator.ne,
    Comparator.LESS: operator.lt,
    Comparator.LESS_OR_EQUAL: operator.le,
    Comparator.GREATER: operator.gt,
    Comparator.GREATER_OR_EQUAL: operator.ge,
}
_EXACT = 2**31  # beyond it a number is compared as a float, which no column overflows


class _Matches(FunctionElement[bool]):
    """Whether a text fits a pattern with `%` and `_`, capitals told apart; holds column, LIKE and GLOB pattern."""

    type = Boolean()
    inherit_cache = True


@compiles(_Matches)
def _as_like(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    column, like, _ = element.clauses
    return f"{compiler.process(column, **options)} LIKE {compiler.process(like, **options)} ESCAPE ''"


@compiles(_Matches, "sqlite")
def _as_glob(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    column, _, glob = element.clauses
    return f"{compiler.process(column, **options)} GLOB {compiler.process(glob, **options)}"


def compare_text(column: ColumnElement[Any], comparator: Comparator, value: Any) -> ColumnElement[bool]:
    """A clause of a filter about a text column, as SQL."""
    match comparator:
        case Comparator.EQUAL | Comparator.NOT_EQUAL:
            return _COMPARISONS[comparator](column, value)
        case Comparator.LIKE:
            return _Matches(column, value, _to_glob(value))
        case Comparator.ILIKE:
            # Both sides by the database's own rule: SQLite knows capitals of ASCII only.
            return _Matches(func.lower(column), func.lower(value), func.lower(_to_glob(value)))
        case Comparator.IN:
            return column.in_(value)
        case Comparator.NOT_IN:
            return column.not_in(value)
    raise ValueError(f"{comparator} compares no texts")


def compare_number(column: ColumnElement[Any], comparator: Comparator, value: float) -> ColumnElement[bool]:
    """A clause of a filter about a column of numbers, as SQL."""
    number = value if abs(value) < _EXACT else float(value)
    return _COMPARISONS[comparator](column, number)


def _to_glob(pattern: str) -> str:
    """SQLite's LIKE takes capitals and small letters for the same; its GLOB does not."""
    signs = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(signs.get(letter, letter) for letter in pattern)
