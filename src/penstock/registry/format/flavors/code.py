"""A project's own models: its code as it stood, with arrays, JSON and files beside it. Loading one runs that code."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.answers import answer_from, label_array
from penstock.registry.format.flavors.code_snapshot import copy_code, find_root, make_importable
from penstock.registry.format.foreign import outputs_of
from penstock.registry.format.frames import to_answer
from penstock.registry.format.function_model import FunctionModel, import_object, name_object
from penstock.registry.format.model_files import find_file
from penstock.registry.format.port import Flavor, Guess, Predictor
from penstock.registry.format.types import Label, ModelInfo

CODE = "code"
DATA = "artifacts"


class CodePredictor:
    """A project's model behind the port."""

    def __init__(self, model: Any, task: Task, columns: tuple[str, ...], classes: tuple[Label, ...]) -> None:
        self.model = model
        self.columns = columns
        self.classes = classes
        self._task = task

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The prediction frame of the task, from whatever the model gives.

        Raises:
            InvalidInputError: it gives something else.
        """
        try:
            answered = self.model.predict(frame)
        except ValueError as error:
            raise InvalidInputError(f"the model refuses this input: {error}") from error
        if not isinstance(answered, pl.DataFrame):
            values = np.asarray(answered)
            labels = label_array(self.classes)
            width = values.shape[1] if values.ndim == 2 else 1
            if values.ndim not in (1, 2) or len(values) != frame.height or width not in (1, len(labels)):
                raise InvalidInputError(
                    f"the model gives {values.shape} for {frame.height} rows of the task {self._task!r}",
                    hint="one number a row, or the probabilities of all classes",
                )
            return to_answer(answer_from(values, self._task, labels))
        missing = [c.name for c in outputs_of(self._task, self.classes or (0, 1)) if c.name not in answered.columns]
        if (self._task != "ranking" and missing) or answered.height != frame.height:
            raise InvalidInputError(
                f"the model gives {answered.height} rows of {', '.join(answered.columns)} for {frame.height} rows",
                hint=f"a {self._task} task needs the columns {', '.join(missing)}" if missing else "",
            )
        return answered


class CodeFlavor:
    """Writes the code of a project beside the state of a model."""

    name = "penstock_code"
    packages: tuple[str, ...] = (
        "penstock",
        "numpy",
        "polars",
        "scikit-learn",
        "scipy",
        "pandas",
        "lightgbm",
        "xgboost",
    )
    executes = True

    def adopt(self, model: Any, task: Task, sample: pl.DataFrame) -> Predictor:
        """A function, a `FunctionModel`, or an object with predict(frame), save(folder) and class method load(folder).

        Raises:
            InvalidInputError: its code cannot be found again, or it cannot be saved.
        """
        if not hasattr(model, "predict") and callable(model):
            model = FunctionModel(model)
        find_root(name_object(_code_of(model)))
        if not isinstance(model, FunctionModel) and not hasattr(type(model), "load"):
            raise InvalidInputError(
                f"a {type(model).__name__} cannot be read back", hint="give it a class method load(folder)"
            )
        classes = tuple(getattr(model, "classes", None) or ((0, 1) if task == "binary" else ()))
        if task == "multiclass" and not classes:
            raise InvalidInputError(f"a {type(model).__name__} does not say its classes", hint="give it `classes`")
        columns = getattr(model, "columns", None) or sample.columns
        return CodePredictor(model, task, tuple(columns), classes)

    def save(self, predictor: Predictor, folder: Path) -> dict[str, Any]:
        """Write code and state."""
        if not isinstance(predictor, CodePredictor):
            raise TypeError(f"{type(predictor).__name__} is no model of a project")
        model = predictor.model
        copy_code(name_object(_code_of(model)), folder / CODE)
        (folder / DATA).mkdir()
        model.save(folder / DATA)
        return {"code": CODE, "class": name_object(type(model))}

    def open(self, folder: Path, options: dict[str, Any]) -> Any:
        """The model, built by its own code."""
        make_importable(find_file(folder, options.get("code")).resolve())
        kind = import_object(str(options.get("class")))
        try:
            return kind.load(folder / DATA)
        except Exception as error:  # a class of somebody's own may raise anything
            raise CorruptDataError(f"{options.get('class')} cannot load the model in {folder}: {error!r}") from error

    def guess(self, model: Any) -> Guess:
        """Nobody else writes these."""
        raise InvalidInputError("a project's model is read from what penstock saved")

    def wrap(self, model: Any, info: ModelInfo) -> Predictor:
        """The model as a predictor."""
        return CodePredictor(model, info.task, tuple(c.name for c in info.signature.inputs), info.classes)


FLAVOR: Flavor = CodeFlavor()


def _code_of(model: Any) -> Any:
    return model.function if isinstance(model, FunctionModel) else type(model)
