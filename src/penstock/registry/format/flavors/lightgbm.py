"""Boosted trees of LightGBM, as its own text file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.flavors.lightgbm_text import check_text
from penstock.registry.format.flavors.matrix import MatrixPredictor, check_classes, choose_columns
from penstock.registry.format.flavors.skops_file import read_estimator
from penstock.registry.format.foreign import number_columns
from penstock.registry.format.model_files import read_file
from penstock.registry.format.port import Flavor, Guess, Predictor
from penstock.registry.format.types import Label, ModelInfo

try:
    import lightgbm
except ImportError as error:
    raise InvalidInputError(
        "this model needs lightgbm, which is not installed", hint="pip install 'penstock[boost]'"
    ) from error

if TYPE_CHECKING:
    import polars as pl

FILE = "model.lgb"


class LightGbmFlavor:
    """Reads and writes boosters of LightGBM; an estimator is kept as its booster and its classes."""

    name = "lightgbm"
    packages: tuple[str, ...] = ("penstock", "lightgbm", "scikit-learn", "scipy", "numpy", "polars")
    executes = False

    def adopt(self, model: object, task: Task, sample: "pl.DataFrame") -> Predictor:
        """A booster, or an estimator around one.

        Raises:
            InvalidInputError: it is not fitted, does not fit the task, or was fitted on categories by name.
        """
        booster, classes = _take_apart(model)
        check_classes(len(classes), task, "LightGBM model")
        columns = choose_columns(sample, booster.num_feature(), _names(booster))
        return _predictor(booster, task, columns, classes)

    def save(self, predictor: Predictor, folder: Path) -> dict[str, Any]:
        """Write the booster."""
        if not isinstance(predictor, MatrixPredictor):
            raise TypeError(f"{type(predictor).__name__} is no booster")
        text = predictor.model.model_to_string()  # up to the best iteration, where it stopped early
        (folder / FILE).write_text(text)
        return {"data": FILE, "model_class": "lightgbm.basic.Booster", "lgb_version": lightgbm.__version__}

    def open(self, folder: Path, options: dict[str, Any]) -> Any:
        """The booster, or an estimator that MLflow saved with skops."""
        content = read_file(folder, options.get("data", FILE))
        if options.get("serialization_format") == "skops" and "Booster" not in str(options.get("model_class")):
            estimator = read_estimator(content)
            check_text(estimator.booster_.model_to_string())
            return estimator
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise CorruptDataError(f"the LightGBM model in {folder} is no text") from error
        check_text(text)
        try:
            return lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise CorruptDataError(f"the LightGBM model in {folder} cannot be read: {error}") from error

    def guess(self, model: Any) -> Guess:
        """The task from the objective, the columns from the booster."""
        booster, classes = _take_apart(model)
        task: Task = "regression" if not classes else ("binary" if len(classes) == 2 else "multiclass")
        return Guess(task, number_columns(booster.num_feature(), _names(booster)), classes)

    def wrap(self, model: Any, info: ModelInfo) -> Predictor:
        """The booster as a predictor."""
        booster, _ = _take_apart(model)
        columns = [column.name for column in info.signature.inputs]
        if len(columns) != booster.num_feature():
            raise CorruptDataError(f"the LightGBM model takes {booster.num_feature()} columns, not {len(columns)}")
        return _predictor(booster, info.task, columns, info.classes)


FLAVOR: Flavor = LightGbmFlavor()


def _take_apart(model: Any) -> tuple[Any, tuple[Label, ...]]:
    """The booster of a model and its classes."""
    if isinstance(model, lightgbm.LGBMModel):
        if not model.__sklearn_is_fitted__():
            raise InvalidInputError(f"this {type(model).__name__} is not fitted", hint="call its fit(...) first")
        booster = model.booster_
        classes = tuple(np.asarray(model.classes_).tolist()) if isinstance(model, lightgbm.LGBMClassifier) else ()
    elif isinstance(model, lightgbm.Booster):
        booster = model
        classes = _classes_of(booster)
    else:
        raise InvalidInputError(f"a {type(model).__name__} of LightGBM cannot be saved", hint="give a booster")
    if booster.pandas_categorical:
        raise InvalidInputError(
            "this LightGBM model was fitted on pandas columns of categories, whose codes stand nowhere else",
            hint="fit it on numbers, with `categorical_feature` where they are codes",
        )
    return booster, classes


def _classes_of(booster: Any) -> tuple[Label, ...]:
    """0, 1 ... for the objectives that classify."""
    text = booster.model_to_string(num_iteration=1)
    line = next((line for line in text.splitlines() if line.startswith("objective=")), "")
    objective = line.removeprefix("objective=").partition(" ")[0]
    if objective in ("binary", "cross_entropy"):
        return (0, 1)
    if objective in ("multiclass", "multiclassova"):
        return tuple(range(booster.num_model_per_iteration()))
    return ()


def _names(booster: Any) -> list[str] | None:
    """The names it was fitted on; None where LightGBM made them up."""
    names: list[str] = booster.feature_name()
    return None if names == [f"Column_{place}" for place in range(len(names))] else names


def _predictor(booster: Any, task: Task, columns: list[str], classes: tuple[Label, ...]) -> MatrixPredictor:
    def compute(matrix: Any) -> Any:
        return booster.predict(matrix, num_threads=1)

    return MatrixPredictor(booster, compute, task=task, columns=columns, classes=classes)
