"""What a column is to a drift test: numbers, categories, or something that cannot be tested."""

from typing import Literal

from msgspec import Struct

from penstock.monitoring.list_parts import ListPart
from penstock.monitoring.sketches.column import FEW_VALUES, ColumnSketch, find_lists

MANY_LABELS = 0.5  # a text column in which more than this share of the rows has a value of its own names the row
LISTS = 0.5  # a text column in which this share of the values has several words may hold lists
FEW_FIRSTS = 0.5  # and does if its first words are at most so many as its texts; names of two words have more
_FAMILIES = {"number": "numbers", "text": "texts", "time": "times", "other": "nested values"}


class ColumnKind(Struct, frozen=True):
    """How a column is read."""

    # first: the newest item of a list, as a category; type: it holds values of another type than the reference
    kind: Literal["number", "category", "first", "type", "none"]
    note: str = ""


def find_kind(reference: ColumnSketch, current: ColumnSketch) -> ColumnKind:
    """How to read a column, from what is known of both samples; the reference decides where they differ."""
    if reference.family == "empty":
        return ColumnKind("none", "the reference holds no value")
    if not current.rows:
        return ColumnKind("none", "there is no row to compare")
    if reference.family == "time":
        return ColumnKind("none", "time moves by itself")
    if reference.family == "other":
        return ColumnKind("none", "nested values are not compared")
    if current.family not in ("empty", reference.family):
        return ColumnKind("type", f"{_FAMILIES[current.family]}, where the reference has {_FAMILIES[reference.family]}")
    if reference.family == "text":
        return _find_text_kind(reference)
    few = reference.is_whole and reference.labels is not None and current.labels is not None
    return ColumnKind("category" if few else "number")


def holds_lists(column: ColumnSketch) -> bool:
    """Whether the texts of a column are lists of items, set apart by spaces."""
    if column.firsts is None or column.labels is None or column.several < LISTS * column.held:
        return False
    return column.firsts.distinct <= FEW_FIRSTS * column.labels.distinct


def find_parts(reference: ColumnSketch, current: ColumnSketch) -> dict[ListPart, tuple[ColumnSketch, ColumnSketch]]:
    """What can be compared of two columns of lists, each as a column; nothing where either holds other values."""
    if reference.lists is None:
        return {}
    before, now = reference.lists, find_lists(current)
    if now is None:
        return {}
    parts: dict[ListPart, tuple[ColumnSketch, ColumnSketch]] = {"length": (before.lengths, now.lengths)}
    if before.items is not None and now.items is not None:
        parts["newest item"] = (reference, current)
    if before.norms is not None and now.norms is not None:
        parts["norm"] = (before.norms, now.norms)
    return parts


def _find_text_kind(reference: ColumnSketch) -> ColumnKind:
    if holds_lists(reference):
        return ColumnKind("first", "the newest item of each list")
    different, held = reference.distinct, reference.held
    if different > MANY_LABELS * held and held > FEW_VALUES:
        return ColumnKind("none", f"{different:,} different values in {held:,} rows: it names the row")
    return ColumnKind("category")
