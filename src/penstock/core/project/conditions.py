"""Conditions on the columns of a row, as the project file and requests write them."""

from collections.abc import Mapping
from typing import Any

BOUNDS = {"at_least": "ge", "at_most": "le", "above": "gt", "below": "lt"}
_SCALARS = (bool, int, float, str)


def check_condition(condition: Any) -> str | None:
    """What is wrong with a condition such as `{ category = "books", price = { at_most = 20 } }`; None if nothing is.

    Each column has to be equal to a value, to be one of a list, or to lie within bounds; all of them have to hold.
    """
    if not isinstance(condition, Mapping) or not condition:
        return "a condition names columns and what they have to be"
    for column, wanted in condition.items():
        if isinstance(wanted, Mapping):
            if not wanted or not all(name in BOUNDS and _is_scalar(bound) for name, bound in wanted.items()):
                return f"the bounds of {column!r} are some of {', '.join(BOUNDS)}, each with a number or a text"
        elif isinstance(wanted, list | tuple):
            if not wanted or not all(_is_scalar(value) for value in wanted):
                return f"the values of {column!r} are numbers, texts or booleans, and at least one"
        elif not _is_scalar(wanted):
            return f"{column!r} is compared with a value, a list of values, or bounds"
    return None


def _is_scalar(value: Any) -> bool:
    return isinstance(value, _SCALARS)
