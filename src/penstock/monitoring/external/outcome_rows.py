"""Outcomes of entities from a table: a row per outcome, each one that is wrong named."""

import polars as pl

from penstock.core.errors import InvalidInputError
from penstock.monitoring.external.rows import check_columns, read_times, refuse_rows
from penstock.predictions.types import EntityOutcome


def read_outcome_rows(frame: pl.DataFrame, *, entity: str, value: str, time: str) -> list[EntityOutcome]:
    """The outcomes that a table holds.

    Args:
        frame: the table.
        entity: the column that says of whom or what.
        value: the column with what turned out to be true; whole floats count as whole numbers, as classes do.
        time: the column that says when it happened.

    Raises:
        InvalidInputError: a column is missing, or rows are wrong; the first of them are named.
    """
    check_columns(frame, [entity, value, time])
    held = frame.with_row_index("\0row").select(
        (pl.col("\0row") + 1).alias("row"),
        pl.col(entity).cast(pl.String).alias("entity"),
        _values(frame[value]).alias("value"),
        read_times(frame, time).alias("at"),
    )
    reasons = held.select(
        "row",
        reason=pl.when(pl.col("entity").is_null() | (pl.col("entity") == ""))
        .then(pl.lit(f"{entity!r} is empty"))
        .when(pl.col("value").is_null())
        .then(pl.lit(f"{value!r} is empty"))
        .when(pl.col("at").is_null())
        .then(pl.lit(f"{time!r} is no time")),
    )
    if reasons["reason"].null_count() < held.height:
        raise refuse_rows(reasons, hint="mend them, or leave them out of the table")
    return [
        EntityOutcome(entity=who, value=what, at=at)
        for who, what, at in held.select("entity", "value", "at").iter_rows()
    ]


def _values(column: pl.Series) -> pl.Series:
    if column.dtype.is_temporal():
        raise InvalidInputError(f"{column.name!r} holds times, no outcomes", field=column.name)
    if not column.dtype.is_float():
        return column
    numbers = column.fill_nan(None)
    numbers = numbers.set(~numbers.is_finite().fill_null(True), None)
    return numbers.cast(pl.Int64) if (numbers == numbers.floor()).all() else numbers
