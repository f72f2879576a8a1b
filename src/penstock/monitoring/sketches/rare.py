"""Sketches without the names of rare values: what is few in number may be somebody's own."""

from msgspec import structs

from penstock.monitoring.sketches.column import ColumnSketch
from penstock.monitoring.sketches.table import Segments, TableSketch
from penstock.stats.sketches.frequencies import Frequencies

NAMED_ROWS = 10  # a text of fewer rows is not named in what is kept for ever


def forget_rare(sketch: TableSketch) -> TableSketch:
    """The same sketch, with texts of fewer than `NAMED_ROWS` rows known by their hash alone, in segments as well.

    They are counted as before, in the groups by hash that a column of many texts is compared in. Numbers stay, and so
    do answers.
    """
    return structs.replace(
        sketch,
        columns={name: _forget(column) for name, column in sketch.columns.items()},
        segments=tuple(
            Segments(held.cut, {name: forget_rare(part) for name, part in held.parts.items()})
            for held in sketch.segments
        ),
    )


def _forget(column: ColumnSketch) -> ColumnSketch:
    if column.family == "number":  # its values are in `numbers` all the same
        return column
    lists = column.lists
    return structs.replace(
        column,
        labels=_forget_texts(column.labels),
        firsts=_forget_texts(column.firsts),
        lists=None if lists is None else structs.replace(lists, items=_forget_texts(lists.items)),
    )


def _forget_texts(texts: Frequencies | None) -> Frequencies | None:
    return None if texts is None else texts.forget_rare(NAMED_ROWS)
