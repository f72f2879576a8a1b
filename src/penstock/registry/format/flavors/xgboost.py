"""Boosted trees of XGBoost, as its own JSON or UBJ file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.flavors.matrix import MatrixPredictor, check_classes, choose_columns
from penstock.registry.format.flavors.xgboost_json import check_model
from penstock.registry.format.foreign import number_columns
from penstock.registry.format.model_files import read_file
from penstock.registry.format.port import Flavor, Guess, Predictor
from penstock.registry.format.types import Label, ModelInfo

try:
    import xgboost
except ImportError as error:
    raise InvalidInputError(
        "this model needs xgboost, which is not installed", hint="pip install 'penstock[boost]'"
    ) from error

if TYPE_CHECKING:
    import polars as pl

FILE = "model.json"


class XgBoostFlavor:
    """Reads and writes boosters of XGBoost; what an estimator adds stands in the same file."""

    name = "xgboost"
    packages: tuple[str, ...] = ("penstock", "xgboost", "scipy", "numpy", "polars")
    executes = False

    def adopt(self, model: object, task: Task, sample: "pl.DataFrame") -> Predictor:
        """A booster, or an estimator around one.

        Raises:
            InvalidInputError: it is not fitted, does not fit the task, or takes categories.
        """
        booster = _booster_of(model)
        classes = _classes_of(booster)
        check_classes(len(classes), task, "XGBoost model")
        columns = choose_columns(sample, booster.num_features(), booster.feature_names)
        return BoosterPredictor(model, booster, task=task, columns=columns, classes=classes)

    def save(self, predictor: Predictor, folder: Path) -> dict[str, Any]:
        """Write the booster, with what an estimator knows beside it."""
        if not isinstance(predictor, MatrixPredictor):
            raise TypeError(f"{type(predictor).__name__} is no booster")
        model = predictor.model
        model.save_model(folder / FILE)
        name = "xgboost.core.Booster" if isinstance(model, xgboost.Booster) else f"xgboost.{type(model).__name__}"
        return {"data": FILE, "model_class": name, "model_format": "json", "xgb_version": _version()}

    def open(self, folder: Path, options: dict[str, Any]) -> Any:
        """The booster."""
        content = read_file(folder, options.get("data", FILE))
        check_model(content)
        try:
            booster = xgboost.Booster(model_file=bytearray(content))
            booster.set_param({"nthread": 1})  # whoever serves has threads of its own
            return booster
        except (xgboost.core.XGBoostError, ValueError) as error:
            raise CorruptDataError(f"the XGBoost model in {folder} cannot be read: {_first(error)}") from error

    def guess(self, model: Any) -> Guess:
        """The task from the objective, the columns from the booster."""
        classes = _classes_of(model)
        task: Task = "regression" if not classes else ("binary" if len(classes) == 2 else "multiclass")
        return Guess(task, number_columns(model.num_features(), model.feature_names), classes)

    def wrap(self, model: Any, info: ModelInfo) -> Predictor:
        """The booster as a predictor."""
        columns = [column.name for column in info.signature.inputs]
        if len(columns) != model.num_features():
            raise CorruptDataError(f"the XGBoost model takes {model.num_features()} columns, not {len(columns)}")
        return BoosterPredictor(model, model, task=info.task, columns=columns, classes=info.classes)


FLAVOR: Flavor = XgBoostFlavor()


def _booster_of(model: Any) -> Any:
    booster = model
    if isinstance(model, xgboost.XGBModel):
        try:
            booster = model.get_booster()
        except Exception as error:  # scikit-learn's NotFittedError, which is not imported for this alone
            raise InvalidInputError(
                f"this {type(model).__name__} is not fitted", hint="call its fit(...) first"
            ) from error
    if not isinstance(booster, xgboost.Booster):
        raise InvalidInputError(f"a {type(model).__name__} of XGBoost cannot be saved", hint="give a booster")
    if "c" in (booster.feature_types or ()):
        raise InvalidInputError(
            "this XGBoost model was fitted on columns of categories, whose codes stand nowhere else",
            hint="fit it on numbers",
        )
    return booster


def _learner(booster: Any) -> dict[str, Any]:
    learner: dict[str, Any] = msgspec.json.decode(booster.save_config())["learner"]
    return learner


def _classes_of(booster: Any) -> tuple[Label, ...]:
    """0, 1 ... for the objectives that classify."""
    learner = _learner(booster)
    objective = learner["objective"]["name"]
    if objective in ("binary:logistic", "binary:logitraw", "binary:hinge", "reg:logistic"):
        if objective == "binary:logistic":
            return (0, 1)
        raise InvalidInputError(
            f"an XGBoost model with the objective {objective!r} gives no probabilities",
            hint="train it with 'binary:logistic'",
        )
    if objective in ("multi:softprob", "multi:softmax"):
        return tuple(range(int(learner["learner_model_param"]["num_class"])))
    return ()


class BoosterPredictor(MatrixPredictor):
    """A booster, cut at its best round where an estimator around it stopped early, as the estimator itself does."""

    def __init__(self, model: Any, booster: Any, *, task: Task, columns: list[str], classes: tuple[Label, ...]) -> None:
        is_estimator = not isinstance(model, xgboost.Booster) or booster.attr("scikit_learn") is not None
        best = booster.attr("best_iteration") if is_estimator else None
        self.booster = booster if best is None else booster[: int(best) + 1]
        self._type = "margin" if _learner(booster)["objective"]["name"] == "multi:softmax" else "value"
        super().__init__(model, self._compute_values, task=task, columns=columns, classes=classes)

    def _compute_values(self, matrix: Any) -> Any:
        values = self.booster.inplace_predict(matrix, validate_features=False, predict_type=self._type)
        return _softmax(values) if self._type == "margin" else values


def _softmax(values: Any) -> Any:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _version() -> str:
    return str(xgboost.__version__)


def _first(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][-300:]
