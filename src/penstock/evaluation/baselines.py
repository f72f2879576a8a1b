"""Predictions that come for free: what any model has to beat to be worth its cost."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from penstock.core.project.types import Task
from penstock.evaluation.answers import read_truth
from penstock.stats.ranking import match_items


def free_baselines(
    task: Task,
    learned: pl.Series,
    truth: Any,
    *,
    classes: Sequence[Any] = (),
    depth: int = 20,
    series: tuple[pl.Series, pl.Series] | None = None,
) -> dict[str, dict[str, Any]]:
    """The outputs of each free baseline of the task for the rows of `truth`, by what metrics read.

    Args:
        task: of the project.
        learned: labels to learn from, oldest first, none of them null.
        truth: of the rows to predict; only its length counts, but for lists, which have to be matched.
        classes: in the order of their codes.
        depth: items to suggest.
        series: for a forecast of several series, the name of each learned label's series and of each row's.

    Returns:
        majority; or mean, median (and last_value for a forecast); or popularity. Empty when there is nothing to learn.
    """
    if not len(learned):
        return {}
    rows = len(truth)
    if task == "ranking":
        return {"popularity": {"items": match_items(truth, [most_popular(learned, depth)] * rows)}}
    labels = read_truth(task, learned, classes)
    if task in ("binary", "multiclass"):
        return {"majority": _majority(labels, rows, len(classes), task)}
    found = {
        "mean": {"prediction": np.full(rows, labels.mean())},
        "median": {"prediction": np.full(rows, np.median(labels))},
    }
    if task == "forecast":
        found["last_value"] = {"prediction": _last_values(labels, rows, series)}
    return found


def most_popular(lists: pl.Series, depth: int) -> list[str]:
    """The items that stand in most lists, most frequent first; ties by name."""
    counts = Counter(item for row in lists.to_list() for item in set(row))
    return [item for item, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:depth]]


def _majority(labels: Any, rows: int, classes: int, task: Task) -> dict[str, Any]:
    shares = np.bincount(labels, minlength=classes) / len(labels)
    predicted = np.full(rows, int(shares.argmax()))
    if task == "multiclass":
        return {"prediction": predicted, "probabilities": np.tile(shares, (rows, 1))}
    score = np.full(rows, shares[1])
    return {"prediction": predicted, "score": score, "probabilities": score}


def _last_values(labels: Any, rows: int, series: tuple[pl.Series, pl.Series] | None) -> Any:
    if series is None:
        return np.full(rows, labels[-1])
    learned, asked = series
    last = dict(zip(learned.to_list(), labels.tolist(), strict=True))
    return np.array([last.get(name, labels[-1]) for name in asked.to_list()])
