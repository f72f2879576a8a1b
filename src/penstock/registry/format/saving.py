"""Writes a trained model as a model directory."""

from pathlib import Path

import polars as pl

from penstock.core.errors import InvalidInputError
from penstock.core.project.types import Task
from penstock.registry.format import golden
from penstock.registry.format.loaded import check_golden, load_model
from penstock.registry.format.mlmodel import installed_versions, write_mlmodel
from penstock.registry.format.open import find_flavor
from penstock.registry.format.port import Predictor
from penstock.registry.format.signature import cast, infer_columns
from penstock.registry.format.types import ModelInfo, Signature


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
