"""What the metrics read: the truth of labelled rows and a model's output for them, as arrays."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Task
from penstock.stats.ranking import match_items

CLASS_TASKS: tuple[Task, ...] = ("binary", "multiclass")


class Answers(Struct, frozen=True):
    """Truth and output of n rows.

    Attributes:
        truth: class codes or numbers, shape (n,), or n lists of items.
        outputs: by what a metric may read: prediction, score, probabilities, items; absent when not given.
    """

    truth: Any
    outputs: dict[str, Any]


def find_classes(task: Task, *columns: pl.Series, known: Sequence[Any] = ()) -> tuple[Any, ...]:
    """The classes in the order of their codes: the known ones, then others that occur, sorted; () for other tasks.

    Of two classes the second is the positive one, as scikit-learn has it.

    Raises:
        InvalidInputError: the columns hold different kinds of values, or a binary task has not two classes.
    """
    if task not in CLASS_TASKS:
        return ()
    seen = {value for column in columns for value in column.drop_nulls().unique().to_list()}
    try:
        classes = (*known, *sorted(seen - set(known)))
    except TypeError as error:
        kinds = ", ".join(f"{column.name!r} holds {column.dtype}" for column in columns)
        raise InvalidInputError(f"labels and predictions are of different kinds: {kinds}") from error
    if task == "binary":
        classes = _both_classes(classes)
    return classes


def read_truth(task: Task, labels: pl.Series, classes: Sequence[Any]) -> Any:
    """Labels, none of them null, as class codes, numbers, or lists of items.

    Raises:
        InvalidInputError: the column does not suit the task.
    """
    if task in CLASS_TASKS:
        return _codes(labels, classes)
    if task == "ranking":
        return _lists(labels, "label")
    return _numbers(labels)


def read_outputs(task: Task, predictions: pl.DataFrame, truth: Any, classes: Sequence[Any]) -> dict[str, Any]:
    """A prediction frame by what metrics read.

    Raises:
        InvalidInputError: a column is missing, or a row holds no usable prediction.
    """
    if task == "ranking":
        return {"items": match_items(truth, _lists(_column(predictions, "items"), "items"))}
    prediction = _column(predictions, "prediction")
    if task not in CLASS_TASKS:
        return {"prediction": _numbers(prediction)}
    outputs: dict[str, Any] = {"prediction": _codes(prediction, classes)}
    if task == "binary" and "score" in predictions.columns:
        outputs["score"] = outputs["probabilities"] = _numbers(predictions["score"])
    if task == "multiclass" and "probabilities" in predictions.columns:
        outputs["probabilities"] = _probabilities(predictions["probabilities"], len(classes))
    return outputs


def labelled(labels: pl.Series) -> pl.Series:
    """Which rows have a label; neither null nor NaN."""
    return labels.is_not_null() & labels.is_not_nan() if labels.dtype.is_float() else labels.is_not_null()


def _both_classes(classes: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(classes) == 1 and classes[0] in (0, 1):  # also False and True
        return (0, 1)
    if len(classes) != 2:
        told = ", ".join(repr(value) for value in classes[:5])
        hint = "set task to 'multiclass'" if len(classes) > 2 else "name both in 'classes', the positive one last"
        raise InvalidInputError(f"a binary task has two classes and here are {len(classes)}: {told}", hint=hint)
    return classes


def _column(predictions: pl.DataFrame, name: str) -> pl.Series:
    if name not in predictions.columns:
        have = ", ".join(predictions.columns)
        raise InvalidInputError(f"the predictions have no column {name!r}; they have {have}", field=name)
    return predictions[name]


def _codes(values: pl.Series, classes: Sequence[Any]) -> Any:
    _refuse_missing(values, values.is_null())
    codes = {value: code for code, value in enumerate(classes)}
    return np.array([codes[value] for value in values.to_list()], dtype=np.int64)


def _numbers(values: pl.Series) -> Any:
    if not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
        raise InvalidInputError(f"{values.name!r} holds {values.dtype} where numbers are needed", field=values.name)
    held = values.cast(pl.Float64)
    _refuse_missing(values, ~held.is_finite().fill_null(False))
    return held.to_numpy()


def _lists(values: pl.Series, name: str) -> list[list[str]]:
    if values.dtype == pl.Null and not len(values):
        return []
    if not isinstance(values.dtype, pl.List):
        hint = "a ranking task has a list of item ids in each row"
        raise InvalidInputError(f"{name} holds {values.dtype} where lists are needed", hint=hint, field=name)
    _refuse_missing(values, values.is_null())
    return values.cast(pl.List(pl.String)).to_list()


def _probabilities(values: pl.Series, classes: int) -> Any:
    _refuse_missing(values, values.is_null())
    rows = values.to_list()
    widths = {len(row) for row in rows}
    if len(widths) > 1 or max(widths, default=0) > classes:
        told = " or ".join(str(width) for width in sorted(widths))
        hint = "name the model's classes in 'classes', in its order"
        raise InvalidInputError(f"the model gives {told} probabilities a row, for {classes} classes", hint=hint)
    table = np.zeros((len(rows), classes))  # a class that the model never saw has no chance
    for place in range(max(widths, default=0)):
        table[:, place] = [math.nan if row[place] is None else row[place] for row in rows]
    _refuse_missing(values, pl.Series(~np.isfinite(table).all(axis=1)))
    return table


def _refuse_missing(values: pl.Series, missing: pl.Series) -> None:
    count = missing.sum()
    if count:
        first = missing.arg_true()[0]
        raise InvalidInputError(
            f"{values.name!r} holds no usable value in {count} of {len(values)} rows, first in row {first}",
            hint="a model has to answer every row",
            field=values.name,
        )
