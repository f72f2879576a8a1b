"""Performance by group: the rows with one value of a sensitive column, with intervals; small ones are called so."""

from collections.abc import Callable

import polars as pl

from penstock.core.errors import InvalidInputError
from penstock.monitoring.performance import LabelledRows, measure
from penstock.monitoring.types import GroupPerformance

MOST_SHOWN = 20  # groups of a column
LEAST_OUTCOMES = 30  # below this a group is too small to say anything about
MISSING = "(missing)"
NOT_LOGGED = "is not among the inputs that are logged"

Label = Callable[[pl.DataFrame], LabelledRows]


def cut_groups(rows: pl.DataFrame, inputs: pl.DataFrame, column: str) -> dict[str, pl.DataFrame]:
    """The rows of each group of a column, the largest group first.

    Args:
        rows: predictions.
        inputs: what the model was given for each of them.
        column: one of the inputs.

    Raises:
        InvalidInputError: it is none of them, or has too many values to be groups.
    """
    if column not in inputs.columns:
        raise InvalidInputError(f"{column} {NOT_LOGGED}")
    labels = inputs[column].cast(pl.String, strict=False).fill_null(MISSING)
    counts = labels.value_counts(sort=True, name="rows")
    if counts.height > MOST_SHOWN and (counts.height > rows.height / 10 or inputs[column].dtype.is_float()):
        raise InvalidInputError(f"{column} has {counts.height:,} values in {rows.height:,} rows: they are no groups")
    ranked = counts.sort("rows", labels.name, descending=[True, False])[labels.name].to_list()
    return {group: rows.filter(labels == group) for group in ranked[:MOST_SHOWN]}


def measure_groups(metric: str, column: str, groups: dict[str, pl.DataFrame], label: Label) -> list[GroupPerformance]:
    """How well each group was answered."""
    return [_measure_group(metric, column, group, rows, label(rows)) for group, rows in groups.items()]


def _measure_group(
    metric: str, column: str, group: str, rows: pl.DataFrame, labelled: LabelledRows
) -> GroupPerformance:
    if len(labelled) < LEAST_OUTCOMES:
        note = f"too small: {len(labelled)} outcomes are known, and {LEAST_OUTCOMES} are needed to say anything"
        return GroupPerformance(column=column, group=group, rows=rows.height, note=note)
    found = measure(metric, labelled)
    note = "" if found.value is not None else f"{metric} is not defined on these outcomes"
    return GroupPerformance(column=column, group=group, rows=rows.height, performance=found, note=note)
