"""What MLflow calls to load a model directory: `mlflow.pyfunc.load_model(path)` arrives here."""

from pathlib import Path
from typing import Any

import polars as pl

from penstock.registry.format.loaded import LoadedModel, load_model


class PyFuncModel:
    """A loaded model that takes and gives what MLflow's callers use: pandas frames, or dicts of columns."""

    def __init__(self, model: LoadedModel) -> None:
        self.model = model

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Predictions in the form the rows came in: a polars frame, a pandas frame, or a dict of columns."""
        if isinstance(data, pl.DataFrame):
            return self.model.predict(data)
        columns = {str(name): list(data[name]) for name in data}
        answer = self.model.predict(pl.DataFrame(columns, strict=False)).to_dict(as_series=False)
        return answer if isinstance(data, dict) else type(data)(answer)  # pandas, without importing it


def _load_pyfunc(path: str) -> PyFuncModel:
    """The model in a directory; MLflow looks for this name."""
    return PyFuncModel(load_model(Path(path)))
