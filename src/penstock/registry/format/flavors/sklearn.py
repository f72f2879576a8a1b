"""Estimators of scikit-learn, fitted on polars frames or numpy arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.flavors.skops_file import read_estimator, write_estimator
from penstock.registry.format.port import Flavor, Predictor
from penstock.registry.format.types import Label, ModelInfo

FILE = "model.skops"


class EstimatorPredictor:
    """A fitted estimator behind the port."""

    def __init__(self, estimator: Any, task: Task, columns: Sequence[str]) -> None:
        self.estimator = estimator
        self.task = task
        self.columns = tuple(columns)
        self.classes: tuple[Label, ...] = tuple(getattr(estimator, "classes_", np.array([])).tolist())
        self._takes_frames = hasattr(estimator, "feature_names_in_")

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The prediction frame of the task.

        Raises:
            InvalidInputError: the estimator refuses the values, as an encoder does with an unknown category.
        """
        given = frame if self._takes_frames else frame.to_numpy()
        try:
            return self._predict(given)
        except ValueError as error:
            raise InvalidInputError(f"the model refuses this input: {error}") from error

    def _predict(self, given: Any) -> pl.DataFrame:
        predicted = _flat(self.estimator.predict(given))
        if self.task not in ("binary", "multiclass"):
            return pl.DataFrame({"prediction": predicted.astype(np.float64)})
        chances = self.estimator.predict_proba(given).astype(np.float64)
        answer = {"prediction": _to_series(predicted)}
        if self.task == "binary":
            return pl.DataFrame(answer | {"score": chances[:, 1]})
        return pl.DataFrame(answer | {"probabilities": pl.Series(chances.tolist(), dtype=pl.List(pl.Float64))})


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
        return EstimatorPredictor(model, task, _columns(model, sample))

    def save(self, predictor: Predictor, folder: Path) -> None:
        """Write the estimator."""
        if not isinstance(predictor, EstimatorPredictor):
            raise TypeError(f"{type(predictor).__name__} is no estimator")
        (folder / FILE).write_bytes(write_estimator(predictor.estimator))

    def load(self, folder: Path, info: ModelInfo) -> Predictor:
        """Read the estimator."""
        try:
            content = (folder / FILE).read_bytes()
        except OSError as error:
            raise CorruptDataError(f"{FILE} of the model in {folder} cannot be read: {error}") from error
        columns = [column.name for column in info.signature.inputs]
        return EstimatorPredictor(read_estimator(content), info.task, columns)


FLAVOR: Flavor = SklearnFlavor()


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


def _to_series(values: Any) -> pl.Series:
    """Classes as a column of their own kind: booleans, integers, floats or text."""
    return pl.Series(values.tolist() if values.dtype.kind in "OUS" else values)
