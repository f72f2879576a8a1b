"""Saving a trained model as a model directory, and loading it again."""

from pathlib import Path

import polars as pl

from penstock.core.errors import CorruptDataError, InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format import golden
from penstock.registry.format.mlmodel import installed_versions, read_mlmodel, write_mlmodel
from penstock.registry.format.open import find_flavor, open_flavor
from penstock.registry.format.port import Label, ModelInfo, Predictor
from penstock.registry.format.signature import Signature, cast, infer_columns


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


def save_model(model: object, folder: Path, *, task: Task, sample: pl.DataFrame, label: str = "") -> ModelInfo:
    """Write a model directory that penstock and MLflow can load.

    The model is read back at once, and has to answer the golden rows as it did before.

    Args:
        model: a fitted scikit-learn estimator or a `RankingModel`.
        folder: absent or empty.
        task: what the model is for.
        sample: some hundred rows as they will come; they decide column types and which may be missing.
        label: the column the model predicts; not an input.

    Raises:
        InvalidInputError: the model cannot be saved safely or does not fit the task or sample.
    """
    _check_folder(folder)
    flavor = find_flavor(model)
    rows = sample.drop(label, strict=False) if label else sample
    predictor = flavor.adopt(model, task, rows)
    rows = rows.select(_known(rows, predictor))
    inputs = infer_columns(rows)
    chosen = golden.choose_rows(rows)
    answers = predictor.predict(cast(chosen, inputs))
    info = ModelInfo(
        flavor=flavor.name,
        task=task,
        signature=Signature(inputs, infer_columns(answers)),
        classes=tuple(predictor.classes) if task in ("binary", "multiclass") else (),
        label=label,
        packages=installed_versions(flavor.packages),
    )
    folder.mkdir(parents=True, exist_ok=True)
    flavor.save(predictor, folder)
    golden.write_golden(folder, chosen, answers)
    write_mlmodel(folder, info)
    check_golden(load_model(folder))
    return info


def load_model(folder: Path) -> LoadedModel:
    """Read a model directory without executing anything in it.

    Raises:
        InvalidInputError: it was not written by penstock, or holds types that are not trusted.
        CorruptDataError: a file is missing or damaged.
    """
    info = read_mlmodel(folder)
    return LoadedModel(info, open_flavor(info.flavor).load(folder, info), folder)


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


def _check_folder(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(f"{folder} is there already", hint="name a new folder", field="folder")


def _known(rows: pl.DataFrame, predictor: Predictor) -> list[str]:
    missing = [name for name in predictor.columns if name not in rows.columns]
    if missing:
        raise InvalidInputError(f"the sample lacks {', '.join(map(repr, missing))}", field="sample")
    if rows.height == 0:
        raise InvalidInputError("the sample has no rows", hint="give some hundred typical rows", field="sample")
    return list(predictor.columns)


def _changed_packages(info: ModelInfo) -> str:
    now = installed_versions(tuple(info.packages))
    return ", ".join(
        f"{name} {version} (here: {now[name]})" for name, version in info.packages.items() if now[name] != version
    )
