"""Ranking models behind the port; they read and write their own files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.port import Flavor, Guess, Predictor
from penstock.registry.format.ranking import RankingModel
from penstock.registry.format.types import Label, ModelInfo


class RankingPredictor:
    """A ranking model behind the port."""

    classes: tuple[Label, ...] = ()

    def __init__(self, model: RankingModel, columns: Sequence[str]) -> None:
        self.model = model
        self.columns = tuple(columns)
        self.attributes = model.attributes

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Columns `items` and `scores`."""
        return self.model.predict(frame)


class RankingFlavor:
    """Reads and writes `RankingModel`."""

    name = "penstock_ranking"
    packages: tuple[str, ...] = ("penstock", "numpy", "polars")
    executes = False

    def adopt(self, model: object, task: Task, sample: pl.DataFrame) -> Predictor:
        """The model as a predictor."""
        if not isinstance(model, RankingModel) or task != "ranking":
            raise InvalidInputError(f"a {type(model).__name__} cannot serve the task {task!r}", field="task")
        if "recent" not in sample.columns:
            raise InvalidInputError("the sample lacks 'recent', the items a user touched last", field="sample")
        return RankingPredictor(model, [name for name in model.inputs if name in sample.columns])

    def save(self, predictor: Predictor, folder: Path) -> dict[str, Any]:
        """Write the model's arrays and settings."""
        if not isinstance(predictor, RankingPredictor):
            raise TypeError(f"{type(predictor).__name__} is no ranking model")
        predictor.model.save(folder)
        return {}

    def open(self, folder: Path, options: dict[str, Any]) -> Any:
        """Read the model's arrays and settings."""
        return RankingModel.load(folder)

    def guess(self, model: Any) -> Guess:
        """Nobody else writes these."""
        raise InvalidInputError("a ranking model is read from what penstock saved")

    def wrap(self, model: Any, info: ModelInfo) -> Predictor:
        """The model as a predictor."""
        return RankingPredictor(model, [column.name for column in info.signature.inputs])


FLAVOR: Flavor = RankingFlavor()
