"""How a value of a filter compares with what a column keeps: metrics, times and texts."""

import math
from typing import Any

from penstock.core.errors import InvalidInputError
from penstock.core.filters import Clause, Comparator
from penstock.tracking.search.sql import TRUE, Sql, all_of
from penstock.tracking.tables import NAN, to_sortable

LARGEST = 2**63 - 1
SMALLEST = -LARGEST  # PostgreSQL reads the one below it as a decimal
SORTED_NAN = to_sortable(NAN)
HEAD = 200  # characters of a text that its index knows, and by which texts are ordered
PATTERN_LIMIT = 5_000  # characters
_NEVER = Sql("1 = 0")
_LAST_CHARACTER = "\U0010ffff"
_WILD = frozenset("%_")


def compare_metric(clause: Clause) -> Sql:
    """On `value`, the number that sorts as the float does; NaN is unequal to everything and in no range."""
    number = float(_number(clause))
    # 0.0 and -0.0 are one number with two neighbouring keys
    low, high = (to_sortable(-0.0), to_sortable(0.0)) if number == 0 else (to_sortable(number),) * 2
    match clause.comparator:
        case Comparator.EQUAL:
            return Sql("value >= ? AND value <= ?", (low, high)) if low < high else Sql("value = ?", (low,))
        case Comparator.NOT_EQUAL:
            return Sql("(value < ? OR value > ?)", (low, high))
        case Comparator.LESS:
            return Sql("value < ?", (low,))
        case Comparator.LESS_OR_EQUAL:
            return Sql("value <= ?", (high,))
        case Comparator.GREATER:
            return Sql("value > ? AND value < ?", (high, SORTED_NAN))
        case _:
            return Sql("value >= ? AND value < ?", (low, SORTED_NAN))


def compare_time(column: str, clause: Clause) -> Sql:
    """On a column of microseconds; the filter gives milliseconds, and means the whole of one."""
    asked = _number(clause)
    floor, ceiling = math.floor(asked), math.ceil(asked)
    is_whole = floor == ceiling
    match clause.comparator:
        case Comparator.EQUAL if is_whole:
            return Sql(f"{column} >= ? AND {column} < ?", (_micros(floor), _micros(floor + 1)))
        case Comparator.EQUAL:
            return _NEVER
        case Comparator.NOT_EQUAL if is_whole:
            return Sql(f"({column} < ? OR {column} >= ?)", (_micros(floor), _micros(floor + 1)))
        case Comparator.NOT_EQUAL:
            return Sql(f"{column} IS NOT NULL")
        case Comparator.LESS:
            return Sql(f"{column} < ?", (_micros(ceiling),))
        case Comparator.LESS_OR_EQUAL:
            return Sql(f"{column} < ?", (_micros(floor + 1),))
        case Comparator.GREATER:
            return Sql(f"{column} >= ?", (_micros(floor + 1),))
        case _:
            return Sql(f"{column} >= ?", (_micros(ceiling),))


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
    conditions = [Sql(f"{column} >= ?", (start,))]
    following = _following(start)
    if following:
        conditions.append(Sql(f"{column} < ?", (following,)))
    return all_of(conditions)


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
