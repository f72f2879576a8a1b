"""How well the answers of a window turned out: the project's metric with an interval, and losses for the detector."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl
from msgspec import Struct

from penstock.core.errors import InvalidInputError
from penstock.core.project.metrics import COMPARED_HINT, is_compared
from penstock.core.project.types import Task
from penstock.monitoring.types import Performance
from penstock.stats.arrays import FloatArray, cluster_codes
from penstock.stats.intervals import Interval, bootstrap_interval, mean_interval
from penstock.stats.metrics import Metric, find_metric, scored_rows
from penstock.stats.sequential.rewards import pair_scores

FEW_ROWS = 10  # below this an interval says nothing
REPLICATES = 400
# A list nobody took anything from has an empty answer, and that is a miss, not a row to leave out.
_COUNT_EMPTY = ("precision_at_", "hit_rate_at_")


class LabelledRows(Struct, frozen=True):
    """Predictions whose outcome is known, in the order of event time."""

    truth: Any  # class codes, numbers, or lists of items; n of them
    outputs: dict[str, Any]  # by what a metric may read: prediction, score, probabilities, items
    keys: list[str]  # of the customer; rows without one stand for themselves

    def __len__(self) -> int:
        return len(self.keys)


class _Output(Struct, gc=False):
    """The parts of an answer that a metric may read; others are not even decoded."""

    prediction: Any = None
    score: Any = None
    probabilities: Any = None
    items: Any = None


_read_output = msgspec.json.Decoder(_Output).decode


def read_labelled_rows(
    task: Task, frame: pl.DataFrame, classes: Sequence[Any] = (), order: Sequence[str] = ("at", "id")
) -> LabelledRows:
    """The rows of a frame that were answered and whose outcome fits the task (`read_losses` says which they are).

    Args:
        task: of the project.
        frame: columns `id`, `at`, `key`, `status`, `output` and `outcome` (JSON texts).
        classes: the labels of a classifier, in the order of its codes; the last is the positive one of two.
        order: the columns by which the rows are sorted.
    """
    return _read_labelled(task, frame, classes, order)[1]


def read_losses(
    task: Task, metric_name: str, frame: pl.DataFrame, classes: Sequence[Any]
) -> tuple[pl.DataFrame, FloatArray]:
    """The rows of a frame whose outcome is known, in the order of event time, and what each of them lost."""
    kept, rows = _read_labelled(task, frame, classes, ("at", "id"))
    losses = _row_losses(task, metric_name, rows)
    known = ~np.isnan(losses)
    return kept.filter(pl.Series(known)), losses[known]


def _read_labelled(
    task: Task, frame: pl.DataFrame, classes: Sequence[Any], order: Sequence[str]
) -> tuple[pl.DataFrame, LabelledRows]:
    known = frame.filter(pl.col("outcome").is_not_null(), pl.col("status") != "error").sort(*order)
    outputs = [_read_output(text) for text in known["output"]]
    outcomes = [msgspec.json.decode(text) for text in known["outcome"]]
    keys = [key or name for key, name in zip(known["key"], known["id"], strict=True)]
    fits = [_fits(task, output, outcome, classes) for output, outcome in zip(outputs, outcomes, strict=True)]
    kept = [number for number, fit in enumerate(fits) if fit]
    rows = _collect(task, [outputs[i] for i in kept], [outcomes[i] for i in kept], [keys[i] for i in kept], classes)
    return known[kept], rows


def read_outputs(task: Task, frame: pl.DataFrame, classes: Sequence[Any]) -> tuple[dict[str, Any], FloatArray]:
    """What a metric may read of each row of a frame, and its truth, NaN where the outcome is not known or does not fit.

    Args:
        task: of classes or of numbers.
        frame: rows that were answered; columns `output` and `outcome` (JSON texts).
        classes: the labels of a classifier, in the order of its codes.
    """
    outputs = [_read_output(text) for text in frame["output"]]
    outcomes = [None if text is None else msgspec.json.decode(text) for text in frame["outcome"]]
    codes = {label: float(code) for code, label in enumerate(classes)}
    truth = [
        (codes[outcome] if classes else float(outcome or 0)) if _fits(task, output, outcome, classes) else math.nan
        for output, outcome in zip(outputs, outcomes, strict=True)
    ]
    return _collect_outputs(task, outputs, classes), np.array(truth, dtype=np.float64)


def measure(metric_name: str, rows: LabelledRows, *, confidence: float = 0.95) -> Performance:
    """The metric over some rows with an interval that takes the rows of one key as alike."""
    metric = find_metric(metric_name)
    if metric.reads not in rows.outputs or not len(rows):
        return Performance(metric=metric_name, value=None, rows=len(rows))
    terms, keys = _terms(metric, rows)
    value = metric.value(terms)
    if not np.isfinite(value):
        return Performance(metric=metric_name, value=None, rows=len(rows))
    interval = _interval(metric, terms, keys, confidence)
    return Performance(
        metric=metric_name,
        value=value,
        low=interval.low if np.isfinite(interval.low) else None,
        high=interval.high if np.isfinite(interval.high) else None,
        rows=len(terms),
    )


def group_losses(task: Task, metric_name: str, rows: LabelledRows) -> FloatArray:
    """One loss per key, the mean of its rows, in the order in which the keys came.

    For classifiers it is the squared error of the probability, or 1 for a wrong class; for lists one minus the metric;
    both lie in 0 to 1. For numbers it is the absolute error, in units of the label.
    """
    return by_key(_row_losses(task, metric_name, rows), rows.keys)


def bounded_values(metric_name: str, rows: LabelledRows) -> FloatArray:
    """Values between 0 and 1, more being better, whose mean is the metric: what two revisions can be compared by.

    For metrics that are means of such values, one per key, in the order in which the keys came; for `roc_auc` one per
    pair of a positive and a negative row, in the order of the rows (`stats.sequential.rewards.pair_scores`).

    Raises:
        InvalidInputError: the metric is no such mean, as those of `core.project.metrics.COMPARED`.
    """
    metric = find_metric(metric_name)
    if not is_compared(metric_name):
        raise InvalidInputError(f"{metric_name!r} is no mean of values between 0 and 1", hint=COMPARED_HINT)
    if metric.reads not in rows.outputs or not len(rows):
        return np.zeros(0)
    terms = metric.terms(rows.truth, rows.outputs[metric.reads])
    if metric.name == "roc_auc":
        return pair_scores(terms[:, 0] == 1, terms[:, 1])
    values = np.nan_to_num(terms[:, 0], nan=0.0) if metric.name.startswith(_COUNT_EMPTY) else terms[:, 0]
    return by_key(values, rows.keys)


def misses_bar(interval: Performance, *, at_least: float | None, at_most: float | None) -> bool:
    """Whether the whole interval lies beyond the project's own bar."""
    if interval.low is None or interval.high is None:
        return False
    too_low = at_least is not None and interval.high < at_least
    return too_low or (at_most is not None and interval.low > at_most)


def by_key(values: FloatArray, keys: list[str]) -> FloatArray:
    """The mean of each key's known values, in the order in which the keys came."""
    known = ~np.isnan(values)
    codes = cluster_codes([key for key, kept in zip(keys, known, strict=True) if kept])
    return np.bincount(codes, weights=values[known]) / np.bincount(codes) if len(codes) else np.zeros(0)


def _fits(task: Task, output: _Output, outcome: Any, classes: Sequence[Any]) -> bool:
    if task == "ranking":
        return isinstance(output.items, list) and isinstance(outcome, list)
    if task in ("binary", "multiclass"):
        return outcome in classes and output.prediction is not None
    is_number = isinstance(outcome, int | float) and not isinstance(outcome, bool)
    return is_number and isinstance(output.prediction, int | float)


def _collect(
    task: Task, outputs: list[_Output], outcomes: list[Any], keys: list[str], classes: Sequence[Any]
) -> LabelledRows:
    if task == "ranking":
        return LabelledRows(outcomes, {"items": [output.items for output in outputs]}, keys)
    if task not in ("binary", "multiclass"):
        return LabelledRows(np.array(outcomes, float), _collect_outputs(task, outputs, classes), keys)
    codes = {label: code for code, label in enumerate(classes)}
    truth = np.array([codes[outcome] for outcome in outcomes], dtype=np.int64)
    return LabelledRows(truth, _collect_outputs(task, outputs, classes), keys)


def _collect_outputs(task: Task, outputs: list[_Output], classes: Sequence[Any]) -> dict[str, Any]:
    if task not in ("binary", "multiclass"):
        return {"prediction": _column(math.nan if row.prediction is None else row.prediction for row in outputs)}
    codes = {label: code for code, label in enumerate(classes)}
    held: dict[str, Any] = {"prediction": np.array([codes.get(row.prediction, -1) for row in outputs])}
    if outputs and all(row.score is not None for row in outputs):
        held["score"] = held["probabilities"] = _column(row.score for row in outputs)
    elif outputs and all(row.probabilities is not None for row in outputs):
        held["probabilities"] = np.array([row.probabilities for row in outputs], float)
    return held


def _column(values: Iterable[Any]) -> FloatArray:
    return np.fromiter(values, dtype=np.float64)


def _terms(metric: Metric, rows: LabelledRows) -> tuple[FloatArray, list[str]]:
    terms = metric.terms(rows.truth, rows.outputs[metric.reads])
    if metric.name.startswith(_COUNT_EMPTY):
        terms = np.nan_to_num(terms, nan=0.0)
    known = scored_rows(terms)
    return terms[known], [key for key, kept in zip(rows.keys, known, strict=True) if kept]


def _interval(metric: Metric, terms: FloatArray, keys: list[str], confidence: float) -> Interval:
    if len(terms) < FEW_ROWS or not metric.has_interval:
        return Interval(-np.inf, np.inf)
    if metric.is_mean:
        return mean_interval(terms[:, 0], clusters=keys, confidence=confidence)
    return bootstrap_interval(terms, metric.combine, clusters=keys, confidence=confidence, replicates=REPLICATES)


def _row_losses(task: Task, metric_name: str, rows: LabelledRows) -> FloatArray:
    if not len(rows):
        return np.zeros(0)
    if task == "ranking":
        metric = find_metric(metric_name if find_metric(metric_name).is_mean else "hit_rate_at_20")
        gains = metric.terms(rows.truth, rows.outputs["items"])[:, 0]
        losses = 1.0 - (np.nan_to_num(gains, nan=0.0) if metric.name.startswith(_COUNT_EMPTY) else gains)
    elif task not in ("binary", "multiclass"):
        losses = np.abs(rows.outputs["prediction"] - rows.truth)
    elif "score" in rows.outputs:
        losses = np.clip((rows.outputs["score"] - rows.truth) ** 2, 0.0, 1.0)
    else:
        losses = rows.outputs["prediction"] != rows.truth
    return np.asarray(losses, dtype=np.float64)
