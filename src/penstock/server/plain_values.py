"""What no verb can do anything with, refused at the edge: text and numbers no database keeps, nests without end."""

import re
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, structs

from penstock.core.errors import InvalidInputError

DEPTH_LIMIT = 64  # of objects within objects: what is stored has to be read again, by other threads and programs
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")  # PostgreSQL has no NUL in text, UTF-8 no lone surrogates
_INTEGERS = range(-(2**63), 2**63)


def check_values(given: dict[str, Any]) -> None:
    """Let plain values pass that a database can keep.

    Raises:
        InvalidInputError: an integer beyond 64 bits, a text with a NUL or half a surrogate pair, or too deep a nest;
            `field` says where.
    """
    found = _find_fault(given, 0)
    if found is not None:
        place, problem = found
        field = place.lstrip(".")
        raise InvalidInputError(f"{field}: {problem}" if field else problem, field=field)


def in_utc(value: Any) -> Any:
    """The same value with every moment in it in UTC; one that names no zone is in UTC already.

    Raises:
        InvalidInputError: a moment lies before the year 1 or after the year 9999 in UTC.
    """
    if isinstance(value, datetime):
        return _to_utc(value)
    if isinstance(value, Struct):
        changed = {
            name: new for name in value.__struct_fields__ if (new := in_utc(old := getattr(value, name))) is not old
        }
        return structs.replace(value, **changed) if changed else value
    if isinstance(value, (list, tuple)):
        items = [in_utc(item) for item in value]
        return type(value)(items) if any(map(_is_other, items, value)) else value
    if isinstance(value, dict):
        held = {key: in_utc(item) for key, item in value.items()}
        return held if any(map(_is_other, held.values(), value.values())) else value
    return value


def _is_other(one: object, two: object) -> bool:
    return one is not two


def _to_utc(moment: datetime) -> datetime:
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInputError(f"the moment {moment.isoformat()} is outside the years 1 to 9999 in UTC") from error


def _find_fault(value: Any, depth: int) -> tuple[str, str] | None:
    """Where something stands that cannot be kept, and what is wrong with it."""
    if isinstance(value, str):
        return ("", "the text holds a NUL character or half a surrogate pair") if _UNSTORABLE.search(value) else None
    if isinstance(value, int):
        return None if value in _INTEGERS else ("", "the number does not fit in 64 bits")
    if isinstance(value, (dict, list)) and depth == DEPTH_LIMIT:
        return "", f"this is nested more than {DEPTH_LIMIT} deep"
    if isinstance(value, dict):
        return _find_in_object(value, depth + 1)
    if isinstance(value, list):
        for place, item in enumerate(value):
            found = _find_fault(item, depth + 1)
            if found is not None:
                return f"[{place}]{found[0]}", found[1]
    return None


def _find_in_object(value: dict[str, Any], depth: int) -> tuple[str, str] | None:
    for key, item in value.items():
        if _UNSTORABLE.search(key):
            return "", "a name holds a NUL character or half a surrogate pair"
        found = _find_fault(item, depth)
        if found is not None:
            return f".{key}{found[0]}", found[1]
    return None
