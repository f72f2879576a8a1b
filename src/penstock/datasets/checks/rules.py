"""The rules that a row keeps or breaks by itself: each gives the rows that break it, as a mask over a batch."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from penstock.core.errors import InvalidInputError
from penstock.core.project.types import CheckSection, ColumnType, Scalar
from penstock.datasets.frames.values import times_of
from penstock.datasets.schema import kind_of

_REASON = "error: "  # begins the one line that a person needs of what polars says about a pattern
RowRule = Callable[[pl.DataFrame, str, CheckSection], pl.Series]
_ACCEPTED: dict[ColumnType, tuple[str, ...]] = {
    "number": ("number", "integer"),
    "datetime": ("datetime", "date"),
}


def key_columns(name: str, columns: Sequence[str]) -> list[str]:
    """The columns of a key: `order_id`, or `order_id, line` for two together."""
    return [name] if name in columns else [part.strip() for part in name.split(",")]


def lacks_value(series: pl.Series) -> pl.Series:
    """Rows without a value; a number that is NaN is none."""
    return series.is_null() | series.is_nan().fill_null(False) if series.dtype.is_float() else series.is_null()


def _not_null(frame: pl.DataFrame, column: str, check: CheckSection) -> pl.Series:
    return lacks_value(frame.get_column(column))


def _type(frame: pl.DataFrame, column: str, check: CheckSection) -> pl.Series:
    series, wanted = frame.get_column(column), check.type
    assert wanted is not None
    kind = kind_of(series.dtype)
    if kind in (*_ACCEPTED.get(wanted, (wanted,)), "unknown"):
        return _none_of(series)
    if kind == "text":  # a single bad cell makes a whole CSV column text: name the cells, not the column
        return series.is_not_null() & _as_type(series, wanted).is_null()
    if wanted == "integer" and kind == "number":
        return series.is_not_null() & (series != series.round())
    return series.is_not_null()


def _as_type(series: pl.Series, wanted: ColumnType) -> pl.Series:
    if wanted == "integer":
        return series.str.strip_chars().cast(pl.Int64, strict=False)
    if wanted == "number":
        return series.str.strip_chars().cast(pl.Float64, strict=False)
    if wanted == "boolean":
        return pl.select(pl.when(series.str.to_lowercase().is_in(["true", "false"])).then(True)).to_series()
    if wanted in ("date", "datetime"):
        return _parse_time(series)
    return pl.Series(series.name, [None] * len(series), dtype=pl.Null)


def _parse_time(series: pl.Series) -> pl.Series:
    try:
        return series.str.to_datetime(time_zone="UTC", time_unit="us", strict=False)
    except pl.exceptions.PolarsError:
        return pl.Series(series.name, [None] * len(series), dtype=pl.Null)


def _between(frame: pl.DataFrame, column: str, check: CheckSection) -> pl.Series:
    assert check.between is not None
    series = frame.get_column(column)
    low, high = check.between
    if isinstance(low, str):
        times = times_of(series) if kind_of(series.dtype) in ("date", "datetime") else None
        if times is not None:
            return ~times.is_between(_moment(low, column), _moment(high, column)) & times.is_not_null()
        if kind_of(series.dtype) != "text":
            raise _mismatch(column, series, "texts")
    elif not series.dtype.is_numeric() and kind_of(series.dtype) != "unknown":
        raise _mismatch(column, series, "numbers")
    inside = series.cast(pl.String) if isinstance(low, str) else series
    return (~inside.is_between(low, high)).fill_null(False)


def _allowed(frame: pl.DataFrame, column: str, check: CheckSection) -> pl.Series:
    assert check.allowed is not None
    series = frame.get_column(column)
    values = [_fit(value, series) for value in check.allowed]
    try:
        return (~series.is_in(values)).fill_null(False)
    except pl.exceptions.PolarsError as error:
        raise _mismatch(column, series, "the values that are allowed") from error


def _pattern(frame: pl.DataFrame, column: str, check: CheckSection) -> pl.Series:
    series = frame.get_column(column)
    if kind_of(series.dtype) in ("list", "other"):
        raise _mismatch(column, series, "texts")
    try:
        return (~series.cast(pl.String).str.contains(f"^(?:{check.pattern})$")).fill_null(False)
    except pl.exceptions.PolarsError as error:
        lines = str(error).splitlines()
        reason = next((line[len(_REASON) :] for line in lines if line.startswith(_REASON)), lines[0])
        raise InvalidInputError(f"the pattern {check.pattern!r} of {column} cannot be used: {reason}") from error


ROW_RULES: dict[str, RowRule] = {
    "type": _type,
    "not_null": _not_null,
    "between": _between,
    "allowed": _allowed,
    "pattern": _pattern,
}


def describe(rule: str, column: str, check: CheckSection) -> str:
    """What must hold, as the second half of a sentence about the column."""
    return {
        "type": lambda: f"{column} must be of type {check.type}",
        "not_null": lambda: f"{column} must have a value",
        "between": lambda: f"{column} must lie between {_show(check.between)}",
        "allowed": lambda: f"{column} must be one of {', '.join(map(repr, check.allowed or ()))}",
        "pattern": lambda: f"{column} must match {check.pattern!r}",
    }[rule]()


def _show(pair: tuple[Scalar, Scalar] | None) -> str:
    return " and ".join(map(str, pair or ()))


def _none_of(series: pl.Series) -> pl.Series:
    return pl.repeat(False, len(series), dtype=pl.Boolean, eager=True)


def _moment(text: Scalar, column: str) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise InvalidInputError(
            f"the check of {column} compares times with {text!r}", hint="write 2026-01-31 or 2026-01-31T12:00:00Z"
        ) from error
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _fit(value: Any, series: pl.Series) -> Any:
    """A value of the project file in the column's own type, as TOML and JSON have fewer types than tables."""
    kind = kind_of(series.dtype)
    if kind == "text":
        return str(value)
    if kind == "number" and isinstance(value, int):
        return float(value)
    if kind == "date" and isinstance(value, str):
        return date.fromisoformat(value)
    return value


def _mismatch(column: str, series: pl.Series, wanted: str) -> InvalidInputError:
    problem = f"the check of {column} compares with {wanted}, and the column is {kind_of(series.dtype)}"
    return InvalidInputError(problem, hint="change the check in penstock.toml", field=column)
