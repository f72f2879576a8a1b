"""A model directory in memory: loaded without executing anything in it, its answers checked."""

from pathlib import Path

import polars as pl

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format import golden
from penstock.registry.format.mlmodel import installed_versions, read_mlmodel
from penstock.registry.format.open import open_flavor
from penstock.registry.format.port import Predictor
from penstock.registry.format.signature import cast
from penstock.registry.format.types import Label, ModelInfo, Signature


class LoadedModel:
    """A model in memory, ready to predict. Safe to use from several threads."""

    def __init__(self, info: ModelInfo, predictor: Predictor, folder: Path) -> None:
        self.info = info
        self.folder = folder
        self._predictor = predictor

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

    def predict(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The predictions, a row for each row.

        Args:
            frame: the columns of the signature; others are left aside.

        Returns:
            By task: `prediction` and `score` (binary), `prediction` and `probabilities` (multiclass), `prediction`
            (regression, forecast), `items` and `scores` (ranking).

        Raises:
            InvalidInputError: a column or value is missing or has another type; `field` says where.
        """
        return self._predictor.predict(cast(frame, self.info.signature.inputs))


class NeedsItsOwnProcessError(InvalidInputError):
    """The model can only be loaded by running code that stands in its files."""


def load_model(folder: Path, *, may_execute: bool = False) -> LoadedModel:
    """Read a model directory.

    Args:
        folder: the directory.
        may_execute: whether code that stands in it may run, as a pickle's; only a process that was made for this model
            says so.

    Raises:
        NeedsItsOwnProcessError: it can only be loaded by running code, and the caller did not allow that.
        InvalidInputError: it was not written by penstock, or holds types that are not trusted.
        CorruptDataError: a file is missing or damaged.
    """
    info = read_mlmodel(folder)
    flavor = open_flavor(info.flavor)
    if flavor.executes and not may_execute:
        raise NeedsItsOwnProcessError(
            f"the model in {folder} ({info.flavor}) can only be loaded by running code that stands in its files",
            hint="let its own process load it: deploy it, or use 'penstock serve'",
        )
    return LoadedModel(info, flavor.load(folder, info), folder)


def check_golden(model: LoadedModel) -> None:
    """Let the model answer its golden rows again.

    Raises:
        CorruptDataError: it answers otherwise than when it was saved.
    """
    held = golden.read_golden(model.folder)
    try:
        difference = golden.find_difference(held.outputs, model.predict(golden.to_frame(held.inputs)))
    except InvalidInputError as error:
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
        f"{name} {version} (here: {now[name]})" for name, version in info.packages.items() if now[name] != version
    )
