"""Two tables compared column by column, with what a person wants to see of each: the answer of `penstock drift`."""

from collections.abc import Sequence

from msgspec import Struct

from penstock.core.codec import nearest_hint
from penstock.core.errors import InvalidInputError
from penstock.datasets.types import Spread
from penstock.monitoring.drift import compare_inputs, tell_uncut
from penstock.monitoring.sketches import ColumnSketch, TableSketch
from penstock.monitoring.spreads import spread_columns, spread_parts
from penstock.monitoring.types import ColumnDrift

LEVEL = 0.05  # of all columns together


class Side(Struct, frozen=True):
    """One column in one of the two tables."""

    missing: float  # share of the rows
    distinct: int  # about
    mean: float | None = None
    std: float | None = None


class ComparedColumn(Struct, frozen=True, kw_only=True):
    """One column of two tables."""

    name: str
    drifted: bool  # it has moved, or has gone
    result: ColumnDrift
    reference: Side | None = None
    current: Side | None = None
    spread: Spread | None = None
    parts: dict[str, Spread] = {}  # of lists: all that can be drawn, by what it shows; the first is `spread`


class TableDrift(Struct, frozen=True, kw_only=True):
    """Two tables compared.

    Attributes:
        reference: what the reference is called.
        current: what the other is called.
        reference_rows: rows of the reference.
        current_rows: rows of the other.
        level: the chance that any column is called moved where none has.
        columns: those of the reference, in its order.
        added: columns that only the other has; nothing can be said of them.
        segment_notes: which columns were to cut the rows into segments and do not, and why.
    """

    reference: str
    current: str
    reference_rows: int
    current_rows: int
    level: float
    columns: list[ComparedColumn]
    added: list[str] = []
    segment_notes: list[str] = []

    @property
    def drifted(self) -> list[str]:
        """The columns that have moved or gone."""
        return [column.name for column in self.columns if column.drifted]


def compare_tables(
    reference: TableSketch,
    current: TableSketch,
    *,
    names: tuple[str, str] = ("reference", "current"),
    level: float = LEVEL,
    columns: Sequence[str] = (),
) -> TableDrift:
    """Compare two tables by their sketches.

    Args:
        reference: what was.
        current: what is.
        names: what the two are called.
        level: the chance that any column is called moved where none has.
        columns: only these; none for all of the reference.

    Raises:
        InvalidInputError: a table has no rows, the reference lacks a column, or the level is none.
    """
    if not 0 < level < 1:
        raise InvalidInputError(f"a level of {level:g} makes no sense", hint="give one between 0 and 1, such as 0.05")
    for name, sketch in zip(names, (reference, current), strict=True):
        if not sketch.rows:
            raise InvalidInputError(f"{name} has no rows to compare")
    for column in columns:
        if column not in reference.columns:
            raise InvalidInputError(
                f"{names[0]} has no column {column!r}", hint=nearest_hint(column, list(reference.columns))
            )
    chosen = list(columns) or list(reference.columns)
    results = compare_inputs(reference, current, chosen, level=level)
    return TableDrift(
        reference=names[0],
        current=names[1],
        reference_rows=reference.rows,
        current_rows=current.rows,
        level=level,
        columns=[_show(result, reference.columns[result.column], current) for result in results],
        added=[] if columns else [name for name in current.columns if name not in reference.columns],
        segment_notes=tell_uncut(reference, current, absent=f"{names[1]} has no such column"),
    )


def _show(result: ColumnDrift, reference: ColumnSketch, current: TableSketch) -> ComparedColumn:
    other = current.columns.get(result.column)
    if other is None:
        return ComparedColumn(name=result.column, drifted=True, result=result, reference=_side(reference))
    return ComparedColumn(
        name=result.column,
        drifted=result.drifted,
        result=result,
        reference=_side(reference),
        current=_side(other),
        spread=spread_columns(reference, other),
        parts=spread_parts(reference, other),
    )


def _side(column: ColumnSketch) -> Side:
    missing = column.missing / max(column.rows, 1)
    if column.family != "number":
        return Side(missing, column.distinct)
    return Side(missing, column.distinct, column.moments.mean, column.moments.deviation)
