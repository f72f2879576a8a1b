"""Estimators of scikit-learn, fitted on polars frames or numpy arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sklearn
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.flavors.skops_file import list_types, read_estimator, write_estimator
from penstock.registry.format.foreign import number_columns
from penstock.registry.format.frames import to_answer, to_columns
from penstock.registry.format.model_files import read_file
from penstock.registry.format.port import Answer, Flavor, Guess, Predictor
from penstock.registry.format.signature import cast, infer_columns
from penstock.registry.format.types import Column, Label, ModelInfo

FILE = "model.skops"


class EstimatorPredictor:
    """A fitted estimator behind the port."""

    def __init__(self, estimator: Any, task: Task, columns: Sequence[Column]) -> None:
        self.estimator = estimator
        self.task = task
        self.columns = tuple(column.name for column in columns)
        self.classes = _classes(estimator)
        self._inputs = tuple(columns)
        self._takes_frames = hasattr(estimator, "feature_names_in_")

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The prediction frame of the task.

        Raises:
            InvalidInputError: the estimator refuses the values, as an encoder does with an unknown category.
        """
        return to_answer(self._answer(frame if self._takes_frames else frame.to_numpy()))

    def predict_arrays(self, matrix: NDArray[Any]) -> Answer:
        """The columns of the prediction frame for a float matrix, in double precision."""
        if not self._takes_frames:
            return self._answer(matrix.astype(np.float64, copy=False))
        return self._answer(cast(to_columns(matrix, self.columns), self._inputs))

    def _answer(self, given: Any) -> Answer:
        try:
            predicted = _flat(self.estimator.predict(given))
            if self.task not in ("binary", "multiclass"):
                return {"prediction": predicted.astype(np.float64)}
            answer = {"prediction": predicted}
            if not hasattr(self.estimator, "predict_proba"):
                return answer
            chances = self.estimator.predict_proba(given).astype(np.float64)
        except ValueError as error:
            raise InvalidInputError(f"the model refuses this input: {error}") from error
        return answer | ({"score": chances[:, 1]} if self.task == "binary" else {"probabilities": chances})


class SklearnFlavor:
    """Reads and writes scikit-learn estimators as skops files."""

    name = "sklearn"
    packages: tuple[str, ...] = ("penstock", "scikit-learn", "skops", "scipy", "numpy", "polars")
    executes = False

    def adopt(self, model: object, task: Task, sample: pl.DataFrame) -> Predictor:
        """The estimator as a predictor.

        Raises:
            InvalidInputError: it is not fitted, does not fit the task, or needs columns the sample lacks.
        """
        _check_fitted(model)
        _check_task(model, task)
        columns = _columns(model, sample)
        return EstimatorPredictor(model, task, infer_columns(sample.select(columns)))

    def save(self, predictor: Predictor, folder: Path) -> dict[str, Any]:
        """Write the estimator."""
        if not isinstance(predictor, EstimatorPredictor):
            raise TypeError(f"{type(predictor).__name__} is no estimator")
        content = write_estimator(predictor.estimator)
        (folder / FILE).write_bytes(content)
        return {
            "pickled_model": FILE,  # as MLflow calls it, whatever it is
            "serialization_format": "skops",
            "sklearn_version": sklearn.__version__,
            "skops_trusted_types": list_types(content),
        }

    def open(self, folder: Path, options: dict[str, Any]) -> Any:
        """The estimator."""
        return read_estimator(read_file(folder, options.get("pickled_model", FILE)))

    def guess(self, model: Any) -> Guess:
        """What an estimator says of itself."""
        return guess_estimator(model)

    def wrap(self, model: Any, info: ModelInfo) -> Predictor:
        """The estimator as a predictor."""
        return EstimatorPredictor(model, info.task, info.signature.inputs)


FLAVOR: Flavor = SklearnFlavor()


def guess_estimator(model: Any) -> Guess:
    """The task and the columns of an estimator, or of whatever has its methods."""
    count = getattr(model, "n_features_in_", None)
    inputs = number_columns(int(count), getattr(model, "feature_names_in_", None)) if count else ()
    if not hasattr(model, "classes_"):
        return Guess("regression", inputs)
    classes = _classes(model)
    task: Task = "binary" if len(classes) == 2 else "multiclass"
    return Guess(task, inputs, classes, with_chances=hasattr(model, "predict_proba"))


def _classes(model: Any) -> tuple[Label, ...]:
    return tuple(np.asarray(getattr(model, "classes_", ())).tolist())


def _check_fitted(model: object) -> None:
    try:
        check_is_fitted(model)
    except (NotFittedError, TypeError) as error:
        raise InvalidInputError(f"this {type(model).__name__} is not fitted", hint="call its fit(...) first") from error


def _check_task(model: Any, task: Task) -> None:
    name = type(model).__name__
    if task not in ("binary", "multiclass"):
        if task == "ranking" or is_classifier(model):
            raise InvalidInputError(f"a {name} cannot serve the task {task!r}", field="task")
        return
    if not hasattr(model, "predict_proba"):
        raise InvalidInputError(
            f"a {name} gives no probabilities, and the task {task!r} needs them",
            hint="wrap it in CalibratedClassifierCV, or choose another estimator",
            field="task",
        )
    count = len(model.classes_)
    if count < 2 or (task == "binary" and count != 2):
        classes = ", ".join(map(repr, model.classes_[:5].tolist()))
        raise InvalidInputError(f"the task is {task!r} and the {name} knows {count} classes: {classes}", field="task")


def _columns(model: Any, sample: pl.DataFrame) -> list[str]:
    """The columns that the model was fitted on, all of the sample's when it was fitted on a plain array."""
    if hasattr(model, "feature_names_in_"):
        names = [str(name) for name in model.feature_names_in_]
        missing = [name for name in names if name not in sample.columns]
        if missing:
            raise InvalidInputError(
                f"the sample lacks {', '.join(map(repr, missing))}, which the model was fitted on", field="sample"
            )
        return names
    count = getattr(model, "n_features_in_", len(sample.columns))
    if count != len(sample.columns):
        raise InvalidInputError(
            f"the model was fitted on {count} columns without names and the sample has {len(sample.columns)}",
            hint="fit it on a polars frame, or give a sample with exactly the columns of the array",
            field="sample",
        )
    return sample.columns


def _flat(predicted: Any) -> Any:
    values = np.asarray(predicted)
    if values.ndim == 2 and values.shape[1] == 1:
        return values[:, 0]
    if values.ndim != 1:
        raise InvalidInputError(f"the model predicts {values.shape[1:]} values a row, and one is expected")
    return values
