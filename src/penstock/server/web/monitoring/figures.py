"""What windows may hold besides what is measured: estimates, groups, and how much of the outcomes is expected."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from penstock.monitoring.types import Window


class Estimated(Struct, frozen=True, kw_only=True):
    """The metric of a window as it was estimated before outcomes were known."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""  # why there is none
    withdrawn: str = ""  # why the estimator is not believed any more
    dropped: bool = False  # worse than at first, beyond doubt


class Group(Struct, frozen=True, kw_only=True):
    """How well the rows of one group were answered in a window."""

    column: str
    name: str
    rows: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


class Maturity(Struct, frozen=True, kw_only=True):
    """How much of the outcomes of a window should be known by now."""

    expected: float | None = None  # share
    is_matured: bool = False
    note: str = ""  # why it is not matured


def find_estimate(window: Window) -> Estimated | None:
    """The estimate of a window, where one is made."""
    found: Any = getattr(window, "estimate", None)
    if found is None:
        return None
    state = getattr(found, "state", None)
    return Estimated(
        value=found.value,
        low=found.low,
        high=found.high,
        note=found.note,
        withdrawn=getattr(state, "withdrawn", ""),
        dropped=found.dropped,
    )


def list_groups(window: Window) -> list[Group]:
    """The groups of a window, where the project names sensitive columns."""
    groups: Sequence[Any] = getattr(window, "groups", ())
    return [
        Group(
            column=held.column,
            name=held.group,
            rows=held.rows,
            value=held.performance.value if held.performance else None,
            low=held.performance.low if held.performance else None,
            high=held.performance.high if held.performance else None,
            note=held.note,
        )
        for held in groups
    ]


def find_maturity(window: Window) -> Maturity | None:
    """How much of the outcomes of a window is expected, where a label-delay curve is known."""
    found: Any = getattr(window, "maturity", None)
    if found is None:
        return None
    return Maturity(expected=found.expected, is_matured=found.matured, note=found.note)
