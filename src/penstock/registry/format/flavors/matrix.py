"""Models that take one matrix of numbers behind the port."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.answers import answer_from, label_array
from penstock.registry.format.frames import to_answer, to_matrix
from penstock.registry.format.port import Answer
from penstock.registry.format.types import Label

Compute = Callable[[NDArray[np.float64]], NDArray[Any]]


class MatrixPredictor:
    """A function of a float matrix as a predictor.

    Attributes:
        model: what its library made, for the flavor to save.
        columns: the input columns in the order of the matrix.
        classes: the classes; empty for a regression.
    """

    def __init__(
        self, model: Any, compute: Compute, *, task: Task, columns: Sequence[str], classes: Sequence[Label]
    ) -> None:
        self.model = model
        self.columns = tuple(columns)
        self.classes = tuple(classes)
        self._compute = compute
        self._task = task
        self._labels = label_array(self.classes)

    def predict_arrays(self, matrix: NDArray[Any]) -> Answer:
        """The columns of the prediction frame for a float matrix."""
        return answer_from(self._compute(matrix.astype(np.float64, copy=False)), self._task, self._labels)

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The prediction frame."""
        return to_answer(self.predict_arrays(to_matrix(frame)))


def choose_columns(sample: pl.DataFrame, count: int, names: Sequence[str] | None = None) -> list[str]:
    """The columns of a sample that a model takes: those it was fitted on by name, else all, in their order.

    Raises:
        InvalidInputError: the sample has others, or one that holds no numbers.
    """
    known = {name.replace(" ", "_"): name for name in sample.columns}  # LightGBM writes names so
    known |= {name: name for name in sample.columns}
    if names and all(name in known for name in names):
        chosen = [known[name] for name in names]
    elif not names and len(sample.columns) == count:
        chosen = sample.columns
    else:
        wanted = f"the columns {', '.join(names)}" if names else f"{count} columns without names"
        raise InvalidInputError(
            f"the model was fitted on {wanted} and the sample has {', '.join(sample.columns)}", field="sample"
        )
    for name in chosen:
        dtype = sample[name].dtype
        if not (dtype.is_numeric() or dtype in (pl.Boolean, pl.Null)):
            raise InvalidInputError(
                f"{name}: the model takes numbers, and this column holds {dtype}",
                hint="encode it before the model, or fit a scikit-learn pipeline that does",
                field=name,
            )
    return chosen


def check_classes(count: int, task: Task, kind: str) -> None:
    """Let a model pass whose number of classes fits the task; 0 is a regression.

    Raises:
        InvalidInputError: it does not.
    """
    is_regression = task in ("regression", "forecast")
    fits = count == 0 if is_regression else (count == 2 if task == "binary" else task == "multiclass" and count >= 2)
    if not fits:
        knows = f"knows {count} classes" if count else "predicts numbers"
        raise InvalidInputError(f"the task is {task!r} and this {kind} {knows}", field="task")
