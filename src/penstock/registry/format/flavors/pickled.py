"""Estimators that somebody pickled; reading one runs whatever stands in it."""

from importlib import import_module
from pathlib import Path

import polars as pl

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.flavors.sklearn import EstimatorPredictor
from penstock.registry.format.port import Flavor, Predictor
from penstock.registry.format.types import ModelInfo

FILE = "model.pkl"


class PickleFlavor:
    """Reads estimators that other tools pickled; penstock writes none."""

    name = "pickle"
    packages: tuple[str, ...] = ("penstock", "scikit-learn", "numpy", "polars")
    executes = True

    def adopt(self, model: object, task: Task, sample: pl.DataFrame) -> Predictor:
        """Never: what penstock writes can be read without running it."""
        raise InvalidInputError("penstock pickles no models")

    def save(self, predictor: Predictor, folder: Path) -> None:
        """Never, as above."""
        raise InvalidInputError("penstock pickles no models")

    def load(self, folder: Path, info: ModelInfo) -> Predictor:
        """The estimator, after running what its pickle says."""
        try:
            estimator = import_module("pickle").loads((folder / FILE).read_bytes())
        except Exception as error:  # a pickle may raise anything
            raise CorruptDataError(f"the pickled model in {folder} cannot be read: {error!r}") from error
        return EstimatorPredictor(estimator, info.task, [column.name for column in info.signature.inputs])


FLAVOR: Flavor = PickleFlavor()
