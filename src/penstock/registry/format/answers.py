"""The columns of a prediction as arrays: labels, scores and probabilities of whatever a model computes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.project.types import Task
from penstock.registry.format.port import Answer
from penstock.registry.format.types import Label


def label_array(classes: Sequence[Label]) -> NDArray[Any]:
    """The classes as an array of their own kind: booleans, integers, floats or text."""
    kinds = {type(label) for label in classes}
    return np.array(classes, dtype=None if len(kinds) == 1 and str not in kinds else object)


def answer_from(outputs: NDArray[Any], task: Task, labels: NDArray[Any]) -> Answer:
    """The columns of the prediction frame.

    Args:
        outputs: of a regression shape (n,) or (n, 1); of a classifier probabilities of shape (n, classes), or (n,) or
            (n, 1) for the second of two classes.
        task: what the model is for.
        labels: the classes; the likeliest is the prediction, and the first of equally likely ones.
    """
    values = outputs.astype(np.float64, copy=False)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if task not in ("binary", "multiclass"):
        return {"prediction": values}
    if task == "multiclass":
        return {"prediction": labels[values.argmax(axis=1)], "probabilities": values}
    if values.ndim == 2:
        return {"prediction": labels[(values[:, 1] > values[:, 0]).astype(np.intp)], "score": values[:, 1]}
    return {"prediction": labels[(values > 0.5).astype(np.intp)], "score": values}
