"""Profiles: what the values of each column look like."""

import polars as pl

from penstock.datasets.frames import to_value
from penstock.datasets.schema import kind_of
from penstock.datasets.types import ColumnProfile, Profile, TopValue, Value

TOP_VALUES = 5
_EXACT_ROWS = 1_000_000  # up to here distinct values are counted, beyond they are estimated
_LONGEST_TEXT = 200


def profile_frame(frame: pl.DataFrame) -> Profile:
    """The profile of a table."""
    return Profile(frame.height, tuple(_profile_column(frame.get_column(name)) for name in frame.columns))


def shorten(value: Value) -> Value:
    """A value as it is shown in a report: long texts are cut."""
    return value[:_LONGEST_TEXT] + "..." if isinstance(value, str) and len(value) > _LONGEST_TEXT else value


def _profile_column(series: pl.Series) -> ColumnProfile:
    kind = kind_of(series.dtype)
    profile = ColumnProfile(name=series.name, kind=kind, nulls=series.null_count())
    if kind in ("list", "other", "unknown"):
        return profile
    is_number = kind in ("integer", "number")
    return ColumnProfile(
        name=series.name,
        kind=kind,
        nulls=profile.nulls,
        distinct=_count_distinct(series),
        minimum=shorten(to_value(series.min())),
        maximum=shorten(to_value(series.max())),
        mean=_to_float(series.mean()) if is_number or kind == "boolean" else None,
        std=_to_float(series.std()) if is_number else None,
        top=_top_values(series) if kind != "number" else (),
    )


def _count_distinct(series: pl.Series) -> int:
    held = series.drop_nulls()
    return held.n_unique() if len(held) <= _EXACT_ROWS else int(str(held.approx_n_unique()))


def _top_values(series: pl.Series) -> tuple[TopValue, ...]:
    counts = series.drop_nulls().rename("value").value_counts(name="rows")
    counts = counts.sort(["rows", "value"], descending=[True, False])
    return tuple(TopValue(shorten(to_value(value)), rows) for value, rows in counts.head(TOP_VALUES).iter_rows())


def _to_float(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
