"""Estimators that another tool pickled; reading one runs whatever stands in it."""

import io
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.flavors.sklearn import EstimatorPredictor, guess_estimator
from penstock.registry.format.model_files import find_file, read_file
from penstock.registry.format.port import Flavor, Guess, Predictor
from penstock.registry.format.types import ModelInfo

if TYPE_CHECKING:
    import polars as pl


class PickleFlavor:
    """Reads estimators as MLflow pickled them; penstock writes none."""

    name = "pickle"
    packages: tuple[str, ...] = ("penstock", "scikit-learn", "numpy", "polars")
    executes = True

    def adopt(self, model: object, task: Task, sample: "pl.DataFrame") -> Predictor:
        """Never: what penstock writes can be read without running it."""
        raise InvalidInputError("penstock pickles no models")

    def save(self, predictor: Predictor, folder: Path) -> dict[str, Any]:
        """Never, as above."""
        raise InvalidInputError("penstock pickles no models")

    def open(self, folder: Path, options: dict[str, Any]) -> Any:
        """The estimator, after running what its pickle says; the code that MLflow saved beside it can be imported."""
        content = read_file(folder, options.get("file"))
        if options.get("code"):
            sys.path.insert(0, str(find_file(folder, options["code"])))
        try:
            return _unpickler()(io.BytesIO(content))
        except Exception as error:  # a pickle may raise anything
            raise CorruptDataError(f"the pickled model in {folder} cannot be read: {error!r}") from error

    def guess(self, model: Any) -> Guess:
        """What an estimator says of itself."""
        if not hasattr(model, "predict"):
            raise InvalidInputError(f"the pickled {type(model).__name__} has no method predict")
        return guess_estimator(model)

    def wrap(self, model: Any, info: ModelInfo) -> Predictor:
        """The estimator as a predictor."""
        return EstimatorPredictor(model, info.task, info.signature.inputs)


FLAVOR: Flavor = PickleFlavor()


def _unpickler() -> Any:
    """Of cloudpickle where it is installed, since some pickles need it; else Python's own, which reads the others."""
    try:
        return import_module("cloudpickle").load
    except ImportError:
        return import_module("pickle").load
