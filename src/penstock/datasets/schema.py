"""Schemas: what kind each column is, and how two tables differ in that."""

import polars as pl

from penstock.datasets.types import Column, ColumnKind, Schema, SchemaChange

_WIDENS = {("integer", "number")}  # every integer is a number, so readers of numbers are not hurt
_KINDS: list[tuple[type[pl.DataType], ColumnKind]] = [
    (pl.Boolean, "boolean"),
    (pl.Date, "date"),
    (pl.Datetime, "datetime"),
    (pl.String, "text"),
    (pl.Categorical, "text"),
    (pl.Enum, "text"),
    (pl.List, "list"),
    (pl.Array, "list"),
    (pl.Null, "unknown"),
]


def kind_of(dtype: pl.DataType) -> ColumnKind:
    """What people call a polars type."""
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    return next((kind for known, kind in _KINDS if isinstance(dtype, known)), "other")


def infer_schema(frame: pl.DataFrame) -> Schema:
    """The schema of a table as it stands."""
    return Schema(tuple(_infer_column(frame.get_column(name)) for name in frame.columns))


def compare_schemas(before: Schema, after: Schema) -> list[SchemaChange]:
    """What changed, column by column; an unknown kind agrees with every other."""
    changes = []
    for old in before.columns:
        new = after.find(old.name)
        if new is None:
            changes.append(SchemaChange(old.name, "removed", old.kind, None))
        elif new.kind != old.kind and "unknown" not in (old.kind, new.kind):
            changes.append(SchemaChange(old.name, "retyped", old.kind, new.kind))
    known = set(before.names)
    changes.extend(SchemaChange(new.name, "added", None, new.kind) for new in after.columns if new.name not in known)
    return changes


def breaks_readers(change: SchemaChange) -> bool:
    """Whether code written for the schema before may fail on the one after."""
    return change.change == "removed" or (change.change == "retyped" and (change.before, change.after) not in _WIDENS)


def _infer_column(series: pl.Series) -> Column:
    nulls = series.null_count()
    kind = "unknown" if nulls == len(series) and len(series) else kind_of(series.dtype)
    return Column(series.name, kind, str(series.dtype), nulls > 0)
