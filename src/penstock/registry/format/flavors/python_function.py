"""Any other model that MLflow saved, through MLflow itself; reading one runs whatever stands in it."""

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format.port import Flavor, Guess, Predictor
from penstock.registry.format.signature import cast
from penstock.registry.format.types import Column, Label, ModelInfo

_NARROW = {"float": "float32", "integer": "int32"}  # the types of MLflow that are narrower than ours


class FunctionPredictor:
    """A model of MLflow's behind the port; what it gives becomes `prediction`."""

    classes: tuple[Label, ...] = ()

    def __init__(self, model: Any, columns: tuple[str, ...], output: Column) -> None:
        self._model = model
        self.columns = columns
        self._output = output

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A column `prediction`: the only one, or else the first, that the model gives.

        Raises:
            InvalidInputError: it gives something other than a value a row.
        """
        pandas = import_module("pandas")
        answered = self._model.predict(self._arrange(frame, pandas))
        if isinstance(answered, pandas.DataFrame):
            answered = answered.iloc[:, 0]
        values = np.asarray(answered)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
        if values.shape != (frame.height,):
            raise InvalidInputError(f"the model gives {values.shape} for {frame.height} rows, and one a row is served")
        return cast(pl.DataFrame({"prediction": values.tolist()}, strict=False), [self._output])

    def _arrange(self, frame: pl.DataFrame, pandas: Any) -> Any:
        """The rows as the model's own signature has them: MLflow narrows no number by itself."""
        schema = self._model.metadata.get_input_schema()
        if schema is not None and schema.is_tensor_spec() and len(schema.inputs) == 1:
            return frame.to_numpy().astype(schema.inputs[0].type)
        given = pandas.DataFrame({name: frame[name].to_list() for name in frame.columns})
        kinds = {spec.name: _NARROW.get(getattr(spec.type, "name", "")) for spec in schema.inputs} if schema else {}
        return given.astype({name: kind for name, kind in kinds.items() if kind and given[name].notna().all()})


class PythonFunctionFlavor:
    """Reads models with MLflow, which the model's own environment brings; penstock writes none."""

    name = "python_function"
    packages: tuple[str, ...] = ("penstock", "mlflow", "numpy", "polars")
    executes = True

    def adopt(self, model: object, task: Task, sample: pl.DataFrame) -> Predictor:
        """Never: what penstock writes has a flavor of its own."""
        raise InvalidInputError("penstock saves no models through mlflow")

    def save(self, predictor: Predictor, folder: Path) -> dict[str, Any]:
        """Never, as above."""
        raise InvalidInputError("penstock saves no models through mlflow")

    def open(self, folder: Path, options: dict[str, Any]) -> Any:
        """The model as `mlflow.pyfunc` loads it."""
        try:
            pyfunc = import_module("mlflow.pyfunc")
        except ImportError as error:
            raise InvalidInputError(
                "this model needs mlflow, which is not installed here", hint="serve it in its own environment"
            ) from error
        try:
            return pyfunc.load_model(str(folder))
        except Exception as error:  # a model of somebody's own may raise anything
            raise CorruptDataError(f"the model in {folder} cannot be loaded with mlflow: {error!r}") from error

    def guess(self, model: Any) -> Guess:
        """One number a row; only a signature says which columns."""
        return Guess("regression", ())

    def wrap(self, model: Any, info: ModelInfo) -> Predictor:
        """The model as a predictor."""
        names = tuple(column.name for column in info.signature.inputs)
        return FunctionPredictor(model, names, info.signature.outputs[0])


FLAVOR: Flavor = PythonFunctionFlavor()
