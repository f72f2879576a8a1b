"""How a value of a filter compares with what a column keeps: metrics, times and texts."""

import math
from typing import Any

from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.core.filters import Clause, Comparator
from penstock.tracking.search.sql import TRUE, Sql, all_of
from penstock.tracking.tables import NAN, to_sortable

LARGEST = 2**63 - 1
SMALLEST = -LARGEST  # PostgreSQL reads the one below it as a decimal
SORTED_NAN = to_sortable(NAN)
HEAD = 200  # characters of a text that its index knows, and by which texts are ordered
PATTERN_LIMIT = 5_000  # characters
_LAST_CHARACTER = "\U0010ffff"
_WILD = frozenset("%_")


class Range(Struct, frozen=True):
    """A stretch of an index; None where it has no end.

    A statement has to give an index one bound a side: of two, SQLite seeks by the first and reads on to the second.
    """

    low: Any = None
    high: Any = None
    is_low_open: bool = False  # whether `low` itself lies outside
    is_high_open: bool = False

    def __and__(self, other: "Range") -> "Range":
        """What lies in both."""
        low, is_low_open = self.low, self.is_low_open
        if low is None or (other.low is not None and (other.low, other.is_low_open) > (low, is_low_open)):
            low, is_low_open = other.low, other.is_low_open
        high, is_high_open = self.high, self.is_high_open
        if high is None or (other.high is not None and (other.high, not other.is_high_open) < (high, not is_high_open)):
            high, is_high_open = other.high, other.is_high_open
        return Range(low, high, is_low_open, is_high_open)

    def to_sql(self, column: str) -> Sql:
        """The condition on a column."""
        if self.low is not None and self.low == self.high and not (self.is_low_open or self.is_high_open):
            return Sql(f"{column} = ?", (self.low,))
        bounds: list[Sql] = []
        if self.low is not None:
            bounds.append(Sql(f"{column} {'>' if self.is_low_open else '>='} ?", (self.low,)))
        if self.high is not None:
            bounds.append(Sql(f"{column} {'<' if self.is_high_open else '<='} ?", (self.high,)))
        return all_of(bounds)


def metric_range(clause: Clause) -> Range | None:
    """The numbers, sortable as the float is, that match; None for those of `!=`. NaN is in no range."""
    low, high = _neighbours(clause)
    match clause.comparator:
        case Comparator.EQUAL:
            return Range(low, high)
        case Comparator.LESS:
            return Range(None, low, is_high_open=True)
        case Comparator.LESS_OR_EQUAL:
            return Range(None, high)
        case Comparator.GREATER:
            return Range(high, SORTED_NAN, is_low_open=True, is_high_open=True)
        case Comparator.GREATER_OR_EQUAL:
            return Range(low, SORTED_NAN, is_high_open=True)
        case _:
            return None


def compare_metric(column: str, clause: Clause) -> Sql:
    """On a column with such numbers; NaN is unequal to everything."""
    matching = metric_range(clause)
    if matching is None:
        return Sql(f"({column} < ? OR {column} > ?)", _neighbours(clause))
    return matching.to_sql(column)


def _neighbours(clause: Clause) -> tuple[int, int]:
    """0.0 and -0.0 are one number with two neighbouring keys; other numbers have one."""
    number = float(_number(clause))
    return (to_sortable(-0.0), to_sortable(0.0)) if number == 0 else (to_sortable(number),) * 2


def time_range(clause: Clause) -> Range | None:
    """The microseconds that match; None for those of `!=`. A filter gives milliseconds, and means the whole of one."""
    asked = _number(clause)
    floor, ceiling = math.floor(asked), math.ceil(asked)
    match clause.comparator:
        case Comparator.EQUAL if floor == ceiling:
            return Range(_micros(floor), _micros(floor + 1), is_high_open=True)
        case Comparator.EQUAL:
            return Range(LARGEST, SMALLEST)
        case Comparator.LESS:
            return Range(None, _micros(ceiling), is_high_open=True)
        case Comparator.LESS_OR_EQUAL:
            return Range(None, _micros(floor + 1), is_high_open=True)
        case Comparator.GREATER:
            return Range(_micros(floor + 1), None)
        case Comparator.GREATER_OR_EQUAL:
            return Range(_micros(ceiling), None)
        case _:
            return None


def compare_time(column: str, clause: Clause) -> Sql:
    """On a column of microseconds."""
    matching = time_range(clause)
    if matching is not None:
        return matching.to_sql(column)
    asked = _number(clause)
    if asked != math.floor(asked):
        return Sql(f"{column} IS NOT NULL")
    begin = math.floor(asked)
    return Sql(f"({column} < ? OR {column} >= ?)", (_micros(begin), _micros(begin + 1)))


def compare_text(column: str, clause: Clause, dialect: str) -> Sql:
    """On a column of text, letter for letter."""
    value = clause.value
    match clause.comparator:
        case Comparator.EQUAL:
            return Sql(f"{column} = ?", (value,))
        case Comparator.NOT_EQUAL:
            return Sql(f"{column} <> ?", (value,))
        case Comparator.IN | Comparator.NOT_IN:
            chosen = tuple(dict.fromkeys(value)) if isinstance(value, tuple) else (value,)
            return Sql(f"{column} {clause.comparator} ({', '.join('?' * len(chosen))})", chosen)
        case _:
            return _like(column, clause, dialect)


def compare_head(clause: Clause, dialect: str) -> tuple[Sql, Sql]:
    """On `value`, a text whose first characters an index knows: what the index can tell, and what else has to hold."""
    head = "substr(value, 1, 200)"
    text = clause.value if isinstance(clause.value, str) else ""
    if clause.comparator is Comparator.EQUAL:
        # A second `value = ?` would make SQLite reckon the head out of the constant, and leave the index aside.
        rest = TRUE if len(text) < HEAD else Sql("value >= ? AND value <= ?", (text, text))
        return Sql(f"{head} = ?", (text[:HEAD],)), rest
    whole = compare_text("value", clause, dialect)
    if clause.comparator is Comparator.LIKE:
        start = _fixed_start(text)[:HEAD]
        return (_begins_with(head, start) if start else TRUE), whole
    return TRUE, whole


def begins_with(column: str, clause: Clause) -> Sql | None:
    """The range of an index in which all matches of LIKE lie; None where the pattern begins with a wild character."""
    start = _fixed_start(clause.value) if isinstance(clause.value, str) else ""
    return _begins_with(column, start[:HEAD]) if start else None


def _like(column: str, clause: Clause, dialect: str) -> Sql:
    pattern = str(clause.value)
    if len(pattern) > PATTERN_LIMIT:
        raise InvalidInputError(
            f"filter: a pattern of {len(pattern)} characters is too long",
            hint=f"use up to {PATTERN_LIMIT} characters",
            field="filter",
        )
    is_exact = clause.comparator is Comparator.LIKE
    if dialect != "sqlite":
        return Sql(f"{column} {clause.comparator} ? ESCAPE ''", (pattern,))
    if is_exact:  # SQLite's LIKE does not tell a from A
        return Sql(f"{column} GLOB ?", (_to_glob(pattern),))
    return Sql(f"{column} LIKE ?", (pattern,))


def _to_glob(pattern: str) -> str:
    signs = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}
    return "".join(signs.get(character, character) for character in pattern)


def _fixed_start(pattern: str) -> str:
    """The part of a pattern before its first wild character."""
    return next((pattern[:place] for place, each in enumerate(pattern) if each in _WILD), pattern)


def _begins_with(column: str, start: str) -> Sql:
    return Range(start, _following(start) or None, is_high_open=True).to_sql(column)


def _following(start: str) -> str:
    """The first text behind all that begin so; empty where there is none."""
    kept = start.rstrip(_LAST_CHARACTER)
    if not kept:
        return ""
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)


def _micros(milliseconds: int) -> int:
    return max(SMALLEST, min(LARGEST, milliseconds * 1000))


def _number(clause: Clause) -> Any:
    if isinstance(clause.value, int | float):
        return clause.value
    raise InvalidInputError(f"filter: {clause.key!r} has to be compared with a number", field="filter")
