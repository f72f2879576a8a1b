"""Schemas: what kind each column is, and how two tables differ in that."""

from collections.abc import Mapping, Sequence

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
    """The schema of rows in memory."""
    nulls = [frame.get_column(name).null_count() for name in frame.columns]
    return schema_of(frame.schema, nulls, frame.height)


def schema_of(types: Mapping[str, pl.DataType], nulls: Sequence[int], rows: int) -> Schema:
    """A schema from the types of the columns, how many rows lack a value in each, and how many rows there are."""
    columns = []
    for (name, dtype), missing in zip(types.items(), nulls, strict=True):
        kind = "unknown" if rows and missing == rows else kind_of(dtype)
        columns.append(Column(name, kind, str(dtype), missing > 0))
    return Schema(tuple(columns))


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
