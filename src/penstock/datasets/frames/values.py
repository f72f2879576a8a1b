"""Cells and columns as plain values: moments in UTC, and what a report shows of a cell."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from penstock.datasets.types import Value

_EPOCH_UNITS = ((1e8, 1e11, "s"), (1e11, 1e14, "ms"), (1e14, 1e17, "us"))  # from 1973 on; smaller numbers are no dates
_LONGEST_TEXT = 200


def times_of(series: pl.Series) -> pl.Series | None:
    """A column as moments in UTC; None when its values are no times.

    Times without a zone are taken as UTC, days as their beginning, texts as ISO 8601, and large whole numbers as
    seconds, milliseconds or microseconds since 1970.
    """
    dtype = series.dtype
    if isinstance(dtype, pl.Datetime):
        moments = series.dt.convert_time_zone("UTC") if dtype.time_zone else series.dt.replace_time_zone("UTC")
        return moments.cast(pl.Datetime("us", "UTC"))
    if isinstance(dtype, pl.Date):
        return series.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if isinstance(dtype, pl.String):
        return _parse_texts(series)
    if dtype.is_integer():
        return _parse_epochs(series)
    return None


def time_range(series: pl.Series) -> tuple[datetime | None, datetime | None]:
    """The first and last moment of a column; None where there is none."""
    times = times_of(series)
    if times is None or times.null_count() == len(times):
        return None, None
    first, last = times.min(), times.max()
    return (first, last) if isinstance(first, datetime) and isinstance(last, datetime) else (None, None)


def to_value(value: Any) -> Value:
    """One cell as a plain value."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, pl.Series):
        value = value.to_list()
    return json.dumps(value, default=str)


def shorten(value: Value) -> Value:
    """A value as it is shown in a report: long texts are cut."""
    return value[:_LONGEST_TEXT] + "..." if isinstance(value, str) and len(value) > _LONGEST_TEXT else value


def _parse_texts(series: pl.Series) -> pl.Series | None:
    try:
        times = series.str.to_datetime(time_zone="UTC", time_unit="us", strict=False)
    except pl.exceptions.PolarsError:  # no form of time was recognised
        return None
    return None if times.null_count() > series.null_count() else times


def _parse_epochs(series: pl.Series) -> pl.Series | None:
    low, high = series.min(), series.max()
    if not isinstance(low, int) or not isinstance(high, int):
        return None
    for start, end, unit in _EPOCH_UNITS:
        if start <= low and high < end:
            scale = {"s": timedelta(seconds=1), "ms": timedelta(milliseconds=1), "us": timedelta(microseconds=1)}[unit]
            return (series.cast(pl.Int64) * (scale // timedelta(microseconds=1))).cast(pl.Datetime("us", "UTC"))
    return None
