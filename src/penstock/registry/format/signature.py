"""The columns a model takes and gives: inferred from a sample, and checked on every call."""

import difflib
from collections.abc import Sequence
from typing import Any

import polars as pl

from penstock.core.errors import InvalidInputError
from penstock.registry.format.types import Column, ColumnType

_DTYPES: dict[ColumnType, pl.DataType] = {
    "string": pl.String(),
    "long": pl.Int64(),
    "double": pl.Float64(),
    "boolean": pl.Boolean(),
    "datetime": pl.Datetime("us", "UTC"),
    "date": pl.Date(),
    "category": pl.Categorical(),
    "string[]": pl.List(pl.String),
    "double[]": pl.List(pl.Float64),
}


def infer_columns(sample: pl.DataFrame) -> tuple[Column, ...]:
    """The columns of a sample; those with a missing value (null or NaN) in it may be missing later.

    Raises:
        InvalidInputError: a column has a type that a model cannot take; `field` names it.
    """
    return tuple(_infer_column(sample[name]) for name in sample.columns)


def cast(frame: pl.DataFrame, columns: Sequence[Column]) -> pl.DataFrame:
    """The frame with exactly these columns and types; NaN becomes null, other columns are dropped.

    Only what loses nothing is converted: integers to floats, whole floats to integers, ISO 8601 texts to times.

    Raises:
        InvalidInputError: a column or a required value is missing, or a value has another type; `field` says where.
    """
    if frame.height == 0:
        raise InvalidInputError("there are no rows to predict", hint="send at least one row")
    return pl.DataFrame([_take(frame, column) for column in columns])


def _infer_column(values: pl.Series) -> Column:
    name, dtype = values.name, values.dtype
    missing = values.null_count() > 0 or (dtype.is_float() and bool(values.is_nan().any()))
    return Column(name, _infer_type(name, dtype), required=not missing)


def _infer_type(name: str, dtype: pl.DataType) -> ColumnType:
    if dtype.is_integer():
        return "long"
    if dtype.is_float() or dtype.is_decimal() or dtype == pl.Null:
        return "double"
    known: list[tuple[Any, ColumnType]] = [
        (pl.Boolean, "boolean"),
        (pl.String, "string"),
        (pl.Categorical, "category"),
        (pl.Enum, "category"),
        (pl.Datetime, "datetime"),
        (pl.Date, "date"),
        (pl.List(pl.String), "string[]"),
        (pl.List(pl.Float64), "double[]"),
    ]
    for kind, column_type in known:
        if dtype == kind:
            return column_type
    raise InvalidInputError(
        f"{name}: a model cannot take a column of type {dtype}",
        hint="convert it to text, numbers, booleans, dates or times",
        field=name,
    )


def _take(frame: pl.DataFrame, column: Column) -> pl.Series:
    if column.name not in frame.columns:
        if column.required:
            raise _missing_column(frame, column)
        return pl.Series(column.name, [None] * frame.height, dtype=_DTYPES[column.type])
    values = frame[column.name]
    if values.dtype.is_float():
        values = values.fill_nan(None)
    if values.dtype != _DTYPES[column.type]:
        values = _convert(values, column)
    if column.required and values.null_count():
        row = values.is_null().arg_true()[0]
        raise InvalidInputError(
            f"rows[{row}].{column.name}: a value is required here",
            hint="the model was trained without missing values in this column",
            field=f"rows[{row}].{column.name}",
        )
    return values


def _convert(values: pl.Series, column: Column) -> pl.Series:
    target, given = _DTYPES[column.type], values.dtype
    is_text = given == pl.String or given in (pl.Categorical, pl.Enum)
    allowed = {
        "string": is_text,
        "category": is_text,
        "long": given.is_integer() or given.is_float(),
        "double": given.is_numeric(),
        "boolean": False,
        "datetime": is_text or given in (pl.Datetime, pl.Date),
        "date": is_text,
    }
    if given != pl.Null and not allowed.get(column.type, False):
        raise _wrong_type(values, 0, column)
    converted = _parse_times(values, column) if is_text and target.is_temporal() else values.cast(target, strict=False)
    if column.type == "long" and given.is_float():
        converted = pl.select(pl.when(converted == values).then(converted)).to_series().alias(values.name)
    lost = (converted.is_null() & values.is_not_null()).arg_true()
    if len(lost):
        raise _wrong_type(values, int(lost[0]), column)
    return converted


def _parse_times(values: pl.Series, column: Column) -> pl.Series:
    text = values.cast(pl.String)
    if column.type == "date":
        return text.str.to_date("%Y-%m-%d", strict=False)
    return text.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)


def _missing_column(frame: pl.DataFrame, column: Column) -> InvalidInputError:
    near = difflib.get_close_matches(column.name, frame.columns, n=1)
    hint = f"there is {near[0]!r}; did you mean that?" if near else f"given are: {', '.join(frame.columns[:20])}"
    return InvalidInputError(f"column {column.name!r} is missing", hint=hint, field=column.name)


def _wrong_type(values: pl.Series, row: int, column: Column) -> InvalidInputError:
    field = f"rows[{row}].{values.name}"
    shown = repr(values[row])
    return InvalidInputError(
        f"{field}: {shown if len(shown) <= 80 else shown[:77] + '...'} is no {column.type}",
        hint=f"the model's signature asks for {column.type} and the column holds {values.dtype}",
        field=field,
    )
