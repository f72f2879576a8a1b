"""A model directory in memory: its answers checked, and nothing in it executed unless the caller may."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format import golden
from penstock.registry.format.foreign import complete
from penstock.registry.format.mlmodel import installed_versions, read_mlmodel
from penstock.registry.format.open import open_flavor, open_frames, open_onnx
from penstock.registry.format.port import Answer, Predictor
from penstock.registry.format.types import Label, ModelInfo, Signature

if TYPE_CHECKING:  # slow to load, and the fast form has no need of it
    import polars as pl

log = logging.getLogger(__name__)
_NUMBERS = ("long", "double", "boolean")


class NeedsItsOwnProcessError(InvalidInputError):
    """The model can only be loaded by running code that stands in its files."""


class LoadedModel:
    """A model in memory, ready to predict. Safe to use from several threads.

    Attributes:
        info: what its directory says.
        folder: its directory.
        is_fast: whether it runs in its fast form.
        predictor: what answers, without the checks of this class.
    """

    def __init__(self, info: ModelInfo, predictor: Predictor, folder: Path, *, is_fast: bool = False) -> None:
        self.info = info
        self.folder = folder
        self.is_fast = is_fast
        self.predictor: Any = predictor
        columns = info.signature.inputs
        self._names = [column.name for column in columns]
        self._are_numbers = bool(columns) and all(column.type in _NUMBERS for column in columns)
        self._required = np.array([column.required for column in columns], dtype=np.bool_)

    @property
    def task(self) -> Task:
        """What the model is for; it decides the columns of `predict`."""
        return self.info.task

    @property
    def signature(self) -> Signature:
        """The columns it takes and gives."""
        return self.info.signature

    @property
    def classes(self) -> tuple[Label, ...]:
        """The classes in the order of `probabilities`; the second of two is the positive one."""
        return self.info.classes

    @property
    def takes_arrays(self) -> bool:
        """Whether `predict_arrays` can be called: every input is a number or a boolean."""
        return self._are_numbers and hasattr(self.predictor, "predict_arrays")

    @property
    def item_table(self) -> "pl.DataFrame | None":
        """What is known of the items of a ranking model, a row each; None where that is nothing."""
        return getattr(self.predictor, "attributes", None)

    def predict(self, frame: "pl.DataFrame") -> "pl.DataFrame":
        """The predictions, a row for each row.

        Args:
            frame: the columns of the signature; others are left aside.

        Returns:
            By task: `prediction` and `score` (binary), `prediction` and `probabilities` (multiclass), `prediction`
            (regression, forecast), `items` and `scores` (ranking).

        Raises:
            InvalidInputError: a column or value is missing or has another type; `field` says where.
        """
        found: pl.DataFrame = open_frames().predict(self.predictor, frame, self.info.signature.inputs)
        return found

    def predict_arrays(self, matrix: NDArray[Any]) -> Answer:
        """The predictions as arrays, for models of numbers; the fast form needs nothing but onnxruntime for it.

        Args:
            matrix: shape (n, inputs), floats in the order of the signature; NaN is a missing value.

        Returns:
            The columns that `predict` gives, each with n rows; `probabilities` has shape (n, classes).

        Raises:
            InvalidInputError: the shape is another, a required value is missing, or the model takes more than numbers.
        """
        if not self.takes_arrays:
            raise InvalidInputError("this model cannot be asked with a matrix", hint="use predict(frame)")
        if matrix.ndim != 2 or matrix.shape[1] != len(self._names):
            raise InvalidInputError(f"the matrix has shape {matrix.shape} and needs (n, {len(self._names)})")
        missing = np.isnan(matrix)
        if missing.any() and (missing & self._required).any():
            row, place = np.argwhere(missing & self._required)[0]
            field = f"rows[{row}].{self._names[place]}"
            raise InvalidInputError(f"{field}: a value is required here", field=field)
        answer: Answer = self.predictor.predict_arrays(matrix)
        return answer

    def answer_rows(self, rows: golden.Rows) -> golden.Rows:
        """The predictions for plain values by column; the fast form needs no polars for it."""
        answered: golden.Rows
        if hasattr(self.predictor, "predict_rows"):
            answered = self.predictor.predict_rows(rows)
        else:
            frames = open_frames()
            answered = frames.to_rows(self.predict(frames.to_frame(rows)))
        return answered


def load_model(folder: Path, *, may_execute: bool = False, fast: bool = True) -> LoadedModel:
    """Read a model directory of penstock or MLflow.

    Args:
        folder: the directory.
        may_execute: whether code that stands in it may run, as a pickle's or a project's own; only a process that was
            made for this model says so.
        fast: whether the fast form is used where there is one.

    Raises:
        NeedsItsOwnProcessError: it can only be loaded by running code, and the caller did not allow that.
        InvalidInputError: it holds types that are not trusted, or cannot be served.
        CorruptDataError: a file is missing or damaged.
    """
    info = read_mlmodel(folder)
    if fast and info.fast_form is not None and info.fast_form.used:
        try:
            return LoadedModel(info, open_onnx().open_fast(folder, info.fast_form, info), folder, is_fast=True)
        except InvalidInputError as error:  # onnxruntime is not installed here
            log.warning("a model runs as it is and not in its fast form: %s", error, extra={"folder": str(folder)})
    flavor = open_flavor(info.flavor)
    if flavor.executes and not may_execute:
        raise NeedsItsOwnProcessError(
            f"the model in {folder} ({info.flavor}) can only be loaded by running code that stands in its files",
            hint="let its own process load it: deploy it, or use 'penstock serve'",
        )
    model = flavor.open(folder, info.options)
    if info.saved_by != "penstock":
        info = complete(info, flavor.guess(model), folder)
        for note in info.notes:
            log.warning("a model of another tool is guessed at: %s", note, extra={"folder": str(folder)})
    return LoadedModel(info, flavor.wrap(model, info), folder)


def check_golden(model: LoadedModel) -> None:
    """Let the model answer its golden rows again; one that another tool saved has none.

    Raises:
        CorruptDataError: it answers otherwise than when it was saved.
    """
    if model.info.saved_by != "penstock":
        return
    held = golden.read_golden(model.folder)
    within = model.info.fast_form.tolerance if model.is_fast and model.info.fast_form is not None else 0.0
    try:
        difference = golden.find_difference(held.outputs, model.answer_rows(held.inputs), within)
    except (InvalidInputError, KeyError, TypeError, ValueError) as error:
        difference = str(error)
    if difference:
        changed = _changed_packages(model.info)
        raise CorruptDataError(
            f"the model in {model.folder} no longer answers as it did when it was saved: {difference}",
            hint=f"it was saved with {changed}" if changed else "",
        )


def _changed_packages(info: ModelInfo) -> str:
    now = installed_versions(tuple(info.packages))
    return ", ".join(
        f"{name} {version} (here: {now.get(name, 'absent')})"
        for name, version in info.packages.items()
        if now.get(name) != version
    )
